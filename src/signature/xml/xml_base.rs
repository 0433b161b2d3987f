//! `xml:base` of an element whose ancestors are left out (Canonical XML 1.1 §2.4, RFC 3986 §5.2).

use roxmltree::Node;

use super::names;

/// The value that stands for all of `xml:base` from the document element down to `node`.
pub fn fixed(node: Node<'_, '_>) -> Option<String> {
    let mut values: Vec<&str> =
        node.ancestors().filter_map(|node| node.attribute((names::XML, "base"))).collect();
    let outermost = values.pop()?.to_owned();
    let joined = values.into_iter().rev().fold(outermost, |base, next| join(&base, next));
    Some(joined)
}

/// A URI reference in its five parts; RFC 3986 appendix B.
#[derive(Default, Clone, Copy)]
struct Parts<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

fn split(uri: &str) -> Parts<'_> {
    let uri = uri.split_once('#').map_or(uri, |(before, _)| before);
    let (rest, query) =
        uri.split_once('?').map_or((uri, None), |(rest, query)| (rest, Some(query)));
    let (scheme, rest) = match rest.split_once(':') {
        Some((scheme, after)) if is_scheme(scheme) => (Some(scheme), after),
        _ => (None, rest),
    };
    let (authority, path) = match rest.strip_prefix("//") {
        Some(after) => {
            let end = after.find('/').unwrap_or(after.len());
            let (authority, path) = after.split_at(end);
            (Some(authority), path)
        }
        None => (None, rest),
    };
    Parts { scheme, authority, path, query }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// RFC 3986 §5.2.2, where the base may be relative too.
fn join(base: &str, reference: &str) -> String {
    let (base, own) = (split(base), split(reference));
    let merged;
    let parts = if own.scheme.is_some() {
        own
    } else if own.authority.is_some() {
        Parts { scheme: base.scheme, ..own }
    } else if own.path.is_empty() {
        Parts { query: own.query.or(base.query), ..base }
    } else if own.path.starts_with('/') {
        Parts { scheme: base.scheme, authority: base.authority, ..own }
    } else {
        merged = merge(base, own.path);
        Parts { path: &merged, query: own.query, ..base }
    };
    let mut joined = String::new();
    if let Some(scheme) = parts.scheme {
        joined.push_str(scheme);
        joined.push(':');
    }
    if let Some(authority) = parts.authority {
        joined.push_str("//");
        joined.push_str(authority);
    }
    joined.push_str(&without_dots(parts.path));
    if let Some(query) = parts.query {
        joined.push('?');
        joined.push_str(query);
    }
    joined
}

fn merge(base: Parts<'_>, path: &str) -> String {
    if base.authority.is_some() && base.path.is_empty() {
        return format!("/{path}");
    }
    // A base that ends in `..` names a folder.
    let folder = match base.path.rsplit_once('/') {
        _ if base.path == ".." || base.path.ends_with("/..") => format!("{}/", base.path),
        Some((folder, _)) => format!("{folder}/"),
        None => String::new(),
    };
    folder + path
}

/// RFC 3986 §5.2.4, but steps above the beginning of a relative path stay.
fn without_dots(path: &str) -> String {
    let is_absolute = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_folder = path.ends_with('/');
    for segment in path.split('/') {
        ends_in_folder = segment.is_empty() || segment == "." || segment == "..";
        match segment {
            "" | "." => {}
            ".." => match kept.last() {
                Some(&last) if last != ".." => {
                    kept.pop();
                }
                _ if is_absolute => {}
                _ => kept.push(".."),
            },
            name => kept.push(name),
        }
    }
    let mut clean = String::from(if is_absolute { "/" } else { "" });
    clean.push_str(&kept.join("/"));
    if ends_in_folder && !kept.is_empty() {
        clean.push('/');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_join_as_the_recommendation_shows() {
        for (base, reference, expected) in [
            ("http://www.example.com/dir/", "file.xml", "http://www.example.com/dir/file.xml"),
            ("http://example.com/a/b?q", "../c", "http://example.com/c"),
            ("foo/bar", "..", ""),
            ("../a/", "../../b/", "../../b/"),
            ("..", "..", "../../"),
            ("a/b", "", "a/b"),
            ("a", "http://b/c", "http://b/c"),
            ("http://example.com", "x", "http://example.com/x"),
            ("/a/b", "//host/c", "//host/c"),
        ] {
            assert_eq!(join(base, reference), expected, "{base} and {reference}");
        }
    }
}
