//! Lines of CSV (RFC 4180) in UTF-8 that no spreadsheet runs as a formula.

/// Characters with which spreadsheets begin a formula, and their wide forms (OWASP, CSV injection).
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// One record with its line end. A field that a spreadsheet would calculate gets an apostrophe
/// before it, which spreadsheets do not show.
pub fn csv_line<T: AsRef<str>>(fields: &[T]) -> String {
    let mut line = String::new();
    for (index, value) in fields.iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        field(&mut line, value.as_ref());
    }
    line.push_str("\r\n");
    line
}

fn field(line: &mut String, value: &str) {
    let risky = value.trim_start_matches(' ').starts_with(FORMULA);
    let quoted = risky || value.contains([',', '"', '\r', '\n']);
    if !quoted {
        line.push_str(value);
        return;
    }
    line.push('"');
    if risky {
        line.push('\'');
    }
    line.push_str(&value.replace('"', "\"\""));
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_as_the_standard_says() {
        for (fields, expected) in [
            (vec!["a", "", "c d"], "a,,c d\r\n"),
            (
                vec!["a,b", "say \"x\"", "two\nlines"],
                "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\"\r\n",
            ),
            (vec!["Công văn"], "Công văn\r\n"),
        ] {
            assert_eq!(csv_line(&fields), expected);
        }
    }

    #[test]
    fn no_field_is_a_formula() {
        for formula in
            ["=1+1", "+84", "-2", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "=cmd|' /C calc'!A0"]
        {
            let line = csv_line(&[formula]);
            assert!(line.starts_with("\"'"), "{line:?}");
            assert_eq!(line, format!("\"'{formula}\"\r\n"));
        }
        assert_eq!(csv_line(&["05/QĐ-UBND", "a=b", "1-2"]), "05/QĐ-UBND,a=b,1-2\r\n");
    }
}
