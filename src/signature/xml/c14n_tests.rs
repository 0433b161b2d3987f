//! Canonical forms, after the examples of the recommendations.

use super::*;

fn canonical(text: &str, id: &str, form: Form, with_comments: bool) -> String {
    let tree = Tree::parse(text).unwrap();
    let apex = if id.is_empty() { tree.root() } else { tree.with_id(id)[0] };
    let set = NodeSet { apex, excluded: Vec::new(), with_comments: true };
    let bytes = canonicalize(&tree, &set, &Method { form, with_comments }).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn exclusive(prefixes: &[&str]) -> Form {
    Form::Exclusive(prefixes.iter().map(|&prefix| prefix.to_owned()).collect())
}

#[test]
fn instructions_and_comments_around_the_document_stand_on_their_own_lines() {
    let text = "<?xml version=\"1.0\"?>\r\n\r\n<?xml-stylesheet   href=\"doc.xsl\"\r\n   type=\"text/xsl\"   \
                ?>\n<doc>Hello, world!<!-- Comment 1 --></doc>\n\n<?pi-without-data     ?>\n\n\
                <!-- Comment 2 -->\n";
    let style = "<?xml-stylesheet href=\"doc.xsl\"\n   type=\"text/xsl\"   ?>\n";
    assert_eq!(
        canonical(text, "", Form::Canonical10, false),
        format!("{style}<doc>Hello, world!</doc>\n<?pi-without-data?>")
    );
    assert_eq!(
        canonical(text, "", Form::Canonical11, true),
        format!(
            "{style}<doc>Hello, world!<!-- Comment 1 --></doc>\n<?pi-without-data?>\n\
             <!-- Comment 2 -->"
        )
    );
}

#[test]
fn namespaces_and_attributes_are_sorted_and_what_is_superfluous_goes() {
    let text = "<doc><e1   /><e3   name = \"elem3\"   id=\"e\"   /><e5 a:attr=\"out\" b:attr=\"sorted\" \
                attr2=\"all\" attr=\"I'm\"\n xmlns:b=\"http://www.ietf.org\" xmlns:a=\"http://www.w3.org\" \
                xmlns=\"http://example.org\"/><e6 xmlns=\"\" xmlns:a=\"http://www.w3.org\"><e7 \
                xmlns=\"http://www.ietf.org\"><e8 xmlns=\"\" xmlns:a=\"http://www.w3.org\"/></e7></e6></doc>";
    let expected = "<doc><e1></e1><e3 id=\"e\" name=\"elem3\"></e3><e5 xmlns=\"http://example.org\" \
                    xmlns:a=\"http://www.w3.org\" xmlns:b=\"http://www.ietf.org\" attr=\"I'm\" \
                    attr2=\"all\" b:attr=\"sorted\" a:attr=\"out\"></e5><e6 xmlns:a=\"http://www.w3.org\">\
                    <e7 xmlns=\"http://www.ietf.org\"><e8 xmlns=\"\"></e8></e7></e6></doc>";
    assert_eq!(canonical(text, "", Form::Canonical10, false), expected);
}

#[test]
fn characters_are_written_in_one_way() {
    let text = "<d a='&#x20;&#13;&#xa;\t\"&lt;>'>&#xD;&gt;<![CDATA[<&]]>&#233;\r\nx</d>";
    assert_eq!(
        canonical(text, "", Form::Canonical10, false),
        "<d a=\" &#xD;&#xA; &quot;&lt;>\">&#xD;&gt;&lt;&amp;é\nx</d>"
    );
}

#[test]
fn an_element_takes_along_what_its_form_says() {
    let text = "<r xmlns:a=\"urn:a\" xmlns:b=\"urn:b\" xmlns=\"urn:d\" xml:lang=\"vi\" xml:id=\"r\" \
                xml:base=\"http://h/x/\"><a:e Id=\"e\" xml:base=\"y\"><a:f b:g=\"\"/></a:e></r>";
    assert_eq!(
        canonical(text, "e", Form::Canonical10, false),
        "<a:e xmlns=\"urn:d\" xmlns:a=\"urn:a\" xmlns:b=\"urn:b\" Id=\"e\" xml:base=\"y\" xml:id=\"r\" \
         xml:lang=\"vi\"><a:f b:g=\"\"></a:f></a:e>"
    );
    assert_eq!(
        canonical(text, "e", Form::Canonical11, false),
        "<a:e xmlns=\"urn:d\" xmlns:a=\"urn:a\" xmlns:b=\"urn:b\" Id=\"e\" xml:base=\"http://h/x/y\" \
         xml:lang=\"vi\"><a:f b:g=\"\"></a:f></a:e>"
    );
    assert_eq!(
        canonical(text, "e", exclusive(&[]), false),
        "<a:e xmlns:a=\"urn:a\" Id=\"e\" xml:base=\"y\"><a:f xmlns:b=\"urn:b\" b:g=\"\"></a:f></a:e>"
    );
    assert_eq!(
        canonical(text, "e", exclusive(&["b", ""]), false),
        "<a:e xmlns=\"urn:d\" xmlns:a=\"urn:a\" xmlns:b=\"urn:b\" Id=\"e\" xml:base=\"y\">\
         <a:f b:g=\"\"></a:f></a:e>"
    );
}

#[test]
fn a_prefix_is_kept_even_where_another_means_the_same() {
    let text = "<p:r xmlns:p=\"urn:x\" xmlns:q=\"urn:x\"><q:a p:b=\"1\" q:c=\"2\"/></p:r>";
    assert_eq!(
        canonical(text, "", exclusive(&[]), false),
        "<p:r xmlns:p=\"urn:x\"><q:a xmlns:q=\"urn:x\" p:b=\"1\" q:c=\"2\"></q:a></p:r>"
    );
}

#[test]
fn what_is_left_out_leaves_no_trace() {
    let tree = Tree::parse("<r>a<s Id=\"s\">b</s>c</r>").unwrap();
    let excluded = vec![tree.with_id("s")[0].id()];
    let set = NodeSet { apex: tree.root(), excluded, with_comments: false };
    assert_eq!(canonicalize(&tree, &set, &Method::standard()).unwrap(), b"<r>ac</r>");
    assert_eq!(set.string(&tree).unwrap(), "ac");
}

#[test]
fn a_name_that_is_written_again_and_again_is_no_bomb() {
    let uri = "u".repeat(1_000_000);
    let inner = "<p:x/>".repeat(1_000);
    let text = format!("<r xmlns:p=\"{uri}\">{inner}</r>");
    let tree = Tree::parse(&text).unwrap();
    let set = NodeSet { apex: tree.root(), excluded: Vec::new(), with_comments: false };
    let method = Method { form: exclusive(&[]), with_comments: false };
    assert_eq!(canonicalize(&tree, &set, &method), Err(Exhausted));
}
