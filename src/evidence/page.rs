//! The same facts as a page for people: one file, no script, in both languages, to be printed.

use std::fmt::Write as _;

use super::verify::Findings;

/// The head of the page; nothing in it is loaded from elsewhere.
const HEAD: &str = include_str!("page_head.html");

/// The page of what was found. The same facts give the same bytes.
pub(super) fn render(found: &Findings) -> String {
    let mut page = HEAD.to_owned();
    facts(&mut page, found);
    statements(&mut page, found);
    parts(&mut page, found);
    stamps(&mut page, found);
    list(&mut page, "Tệp này không có", "What the file does not hold", &found.absent);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn heading(page: &mut String, vietnamese: &str, english: &str) {
    put(page, format_args!("<h2>{vietnamese} <span lang=\"en\">{english}</span></h2>\n"));
}

fn facts(page: &mut String, found: &Findings) {
    let accepted = found.entries.first();
    let text = |value: Option<String>| value.unwrap_or_default();
    let from = text(accepted.and_then(|entry| entry.from.as_ref()).map(ToString::to_string));
    let document = text(accepted.and_then(|entry| entry.document.clone()));
    let number = text(accepted.and_then(|entry| entry.number.clone()));
    let recipient = text(found.recipient.as_ref().map(ToString::to_string));
    let rows = [
        ("Mã gửi nhận", "Consignment", found.consignment.to_string()),
        ("Cơ quan gửi", "Sender", from),
        ("Nơi nhận (chỉ riêng)", "Only recipient", recipient),
        ("Mã định danh văn bản", "Document", document),
        ("Số, ký hiệu", "Number and notation", number),
        ("Nhật ký", "Log", found.key.to_string()),
    ];
    page.push_str("<table class=\"facts\">\n");
    for (vietnamese, english, value) in rows.iter().filter(|(.., value)| !value.is_empty()) {
        put(
            page,
            format_args!(
                "<tr><th>{vietnamese}<span lang=\"en\">{english}</span></th><td>{}</td></tr>\n",
                escaped(value)
            ),
        );
    }
    page.push_str("</table>\n");
}

fn statements(page: &mut String, found: &Findings) {
    heading(page, "Điều được chứng minh", "What is proven");
    page.push_str("<table class=\"proven\">\n");
    for statement in &found.statements {
        put(
            page,
            format_args!(
                "<tr><th>{}</th><td>{}<p lang=\"en\">{}</p></td></tr>\n",
                statement.entry,
                escaped(&statement.vietnamese),
                escaped(&statement.english)
            ),
        );
    }
    page.push_str("</table>\n");
}

fn parts(page: &mut String, found: &Findings) {
    if found.parts.is_empty() {
        return;
    }
    heading(page, "Thành phần", "Parts");
    page.push_str("<table class=\"parts\">\n");
    for (part, enclosed) in &found.parts {
        let (here, english) = match enclosed {
            true => ("kèm theo", "enclosed"),
            false => ("không kèm theo", "not enclosed"),
        };
        put(
            page,
            format_args!(
                "<tr><td>{}</td><td>{} B</td><td>{here} <span lang=\"en\">{english}</span></td>\
                 <td class=\"digest\">{}</td></tr>\n",
                escaped(&super::statement::plain(&part.name)),
                part.size,
                part.digest
            ),
        );
    }
    page.push_str("</table>\n");
}

fn stamps(page: &mut String, found: &Findings) {
    if found.stamps.is_empty() {
        return;
    }
    heading(page, "Dấu thời gian", "Time-stamps");
    page.push_str("<table class=\"stamps\">\n");
    for stamp in &found.stamps {
        let time = stamp.time.map(|time| time.in_vietnam()).unwrap_or_default();
        put(
            page,
            format_args!(
                "<tr><td>{time}</td><td>{} mục đầu của kỳ {} <span lang=\"en\">first {} entries of \
                 epoch {}</span></td></tr>\n",
                stamp.size, stamp.epoch, stamp.size, stamp.epoch
            ),
        );
    }
    page.push_str("</table>\n");
}

fn list(page: &mut String, vietnamese: &str, english: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    heading(page, vietnamese, english);
    page.push_str("<ul lang=\"en\">\n");
    for item in items {
        put(page, format_args!("<li>{}</li>\n", escaped(item)));
    }
    page.push_str("</ul>\n");
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("writing to a String cannot fail");
}

/// Text that cannot become markup.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}
