//! A page to print: A4 across, headings on every sheet, nothing fetched from anywhere.

use std::fmt::Write as _;

use crate::evidence::escaped;

/// What a page looks like, on paper and on a screen.
const STYLE: &str = "
@page { size: A4 landscape; margin: 12mm; }
body { font: 11pt 'Times New Roman', 'Liberation Serif', Tinos, serif; color: #000; margin: 1em; }
h1 { font-size: 14pt; text-align: center; text-transform: uppercase; margin: 0 0 .2em; }
p { text-align: center; margin: 0 0 .8em; }
table { border-collapse: collapse; width: 100%; }
th, td { border: .6pt solid #000; padding: 2pt 4pt; vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: bold; text-align: center; vertical-align: middle; overflow-wrap: normal; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
table.wide { font-size: 8pt; }
table.wide td:first-child { white-space: nowrap; }
table.wide td:nth-child(n+3) { text-align: right; white-space: nowrap; }
table.wide td:nth-child(7) { text-align: left; white-space: normal; }
footer { margin-top: 1em; font-size: 9pt; }
@media print { body { margin: 0; } }
";
/// Columns from which the letters are smaller.
const WIDE: usize = 12;

/// Everything up to the first row.
pub fn page_begin(title: &str, subtitle: &str, columns: &[&str]) -> String {
    let class = if columns.len() >= WIDE { " class=\"wide\"" } else { "" };
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"vi\">\n<head>\n<meta charset=\"utf-8\">\n<title>{0}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{0}</h1>\n<p>{1}</p>\n<table{class}>\n<thead>\n<tr>",
        escaped(title),
        escaped(subtitle)
    );
    for column in columns {
        write!(page, "<th scope=\"col\">{}</th>", escaped(column))
            .expect("writing to a String cannot fail");
    }
    page.push_str("</tr>\n</thead>\n<tbody>\n");
    page
}

/// One row.
pub fn page_row<T: AsRef<str>>(fields: &[T]) -> String {
    let cell = |field: &T| format!("<td>{}</td>", escaped(field.as_ref()));
    format!("<tr>{}</tr>\n", fields.iter().map(cell).collect::<String>())
}

/// Everything behind the last row.
pub fn page_end(footer: &str) -> String {
    let footer = escaped(footer);
    format!("</tbody>\n</table>\n<footer>{footer}</footer>\n</body>\n</html>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_people_write_becomes_markup() {
        let hostile = "<script>alert('1')</script> & \"x\"";
        let safe = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;x&quot;";
        assert_eq!(page_row(&[hostile]), format!("<tr><td>{safe}</td></tr>\n"));
        let page = page_begin(hostile, hostile, &[hostile]) + &page_end(hostile);
        assert_eq!(page.matches(safe).count(), 5);
        assert!(!page.contains("<script"), "{page}");
    }
}
