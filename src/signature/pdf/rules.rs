//! The closed list of changes that may follow a signature.

use super::diff::{Diff, differing};
use super::document::View;
use super::fields::text;
use super::file::Fault;
use super::object::{Dictionary, Object};
use crate::limits::{PDF_FIELD_DEPTH_MAX, SIGNATURE_AREA_MAX};

/// What is said about a form field with another value.
pub(super) const FILLED: &str = "a form field was filled in after signing, as the signature allows";

/// What a new signature field or its widget may say. No actions: they run.
const FIELD_KEYS: &[&str] = &[
    "Type", "Subtype", "FT", "T", "V", "Rect", "F", "P", "AP", "Parent", "Lock", "SV", "MK", "DA",
    "DR", "BS", "H", "Border", "TU", "TM", "Ff", "M", "NM", "Kids", "Q", "AS",
];

/// The catalog may get a form, a security store, extensions, metadata and a version.
pub(super) fn catalog(
    diff: &mut Diff<'_>,
    old: &Dictionary,
    new: &Dictionary,
    offset: u64,
) -> Result<(), Fault> {
    for key in differing(old, new) {
        match key {
            b"DSS" | b"Extensions" => {}
            b"Metadata" | b"Version" if !diff.allowed.is_locked() => {
                diff.quirks.insert("the document information was changed after signing");
            }
            b"AcroForm" if !diff.allowed.is_locked() => {
                let before = diff.document.dictionary(diff.versions.signed, old, "AcroForm")?;
                let after = diff.document.dictionary(diff.versions.last, new, "AcroForm")?;
                form(diff, &before.unwrap_or_default(), &after.unwrap_or_default(), offset)?;
            }
            _ => {
                let key = String::from_utf8_lossy(key).into_owned();
                let message = format!("The document's “{key}” was changed after signing.");
                diff.refuse("CATALOG_CHANGED", message, offset);
            }
        }
    }
    Ok(())
}

/// The form may get signature fields.
pub(super) fn form(
    diff: &mut Diff<'_>,
    old: &Dictionary,
    new: &Dictionary,
    offset: u64,
) -> Result<(), Fault> {
    for key in differing(old, new) {
        match key {
            b"SigFlags" => {}
            b"Fields" => {
                let before = diff.document.array(diff.versions.signed, old, "Fields")?;
                let after = diff.document.array(diff.versions.last, new, "Fields")?;
                appended_to(diff, FIELDS, &before, &after, offset)?;
            }
            // Defaults for fields that have none yet; no signed appearance depends on them.
            b"DR" => {
                let before =
                    diff.document.dictionary(diff.versions.signed, old, "DR")?.unwrap_or_default();
                let after =
                    diff.document.dictionary(diff.versions.last, new, "DR")?.unwrap_or_default();
                if !is_extended(&before, &after) {
                    let message = "The form's resources were changed after signing.";
                    diff.refuse("FORM_CHANGED", message, offset);
                }
            }
            b"DA" if old.get("DA").is_none() => {}
            b"NeedAppearances" if new.get("NeedAppearances") != Some(&Object::Boolean(true)) => {}
            _ => {
                let key = String::from_utf8_lossy(key).into_owned();
                let message = format!("The form's “{key}” was changed after signing.");
                diff.refuse("FORM_CHANGED", message, offset);
            }
        }
    }
    Ok(())
}

/// Everything of `old` is in `new` as it was. Writers add the fonts of a seal to the resources.
fn is_extended(old: &Dictionary, new: &Dictionary) -> bool {
    old.entries.iter().all(|(key, before)| match (before, new.entries.get(key)) {
        (Object::Dictionary(before), Some(Object::Dictionary(after))) => is_extended(before, after),
        (before, Some(after)) => before == after,
        (before, None) => *before == Object::Null,
    })
}

/// What was added to a list; `None` if something was removed or moved.
fn appended<'a>(old: &[Object], new: &'a [Object]) -> Option<Vec<&'a Object>> {
    let mut kept = old.iter().peekable();
    let mut added = Vec::new();
    for item in new {
        if kept.peek() == Some(&item) {
            kept.next();
        } else {
            added.push(item);
        }
    }
    kept.peek().is_none().then_some(added)
}

/// Code and sentence for what was taken out of the fields of the form.
pub(super) const FIELDS: (&str, &str) = ("FIELD_REMOVED", "A field was removed after signing.");
/// The same for the annotations of a page.
pub(super) const ANNOTATIONS: (&str, &str) =
    ("ANNOTATION_REMOVED", "An annotation was removed after signing.");

/// A list that may get signature fields and lose nothing.
pub(super) fn appended_to(
    diff: &mut Diff<'_>,
    (code, message): (&'static str, &str),
    old: &[Object],
    new: &[Object],
    offset: u64,
) -> Result<(), Fault> {
    let Some(added) = appended(old, new) else {
        diff.refuse(code, message, offset);
        return Ok(());
    };
    for field in added {
        new_field(diff, field, offset, 0)?;
    }
    Ok(())
}

/// A page may get widgets of signature fields.
pub(super) fn page(
    diff: &mut Diff<'_>,
    old: &Dictionary,
    new: &Dictionary,
    offset: u64,
) -> Result<(), Fault> {
    for key in differing(old, new) {
        if key == b"Annots" {
            let before = diff.document.array(diff.versions.signed, old, "Annots")?;
            let after = diff.document.array(diff.versions.last, new, "Annots")?;
            appended_to(diff, ANNOTATIONS, &before, &after, offset)?;
            continue;
        }
        let key = String::from_utf8_lossy(key).into_owned();
        let message = format!("The “{key}” of a page was changed after signing.");
        diff.refuse("PAGE_CHANGED", message, offset);
    }
    Ok(())
}

/// The tree of pages never changes.
pub(super) fn page_tree(
    diff: &mut Diff<'_>,
    old: &Dictionary,
    new: &Dictionary,
    offset: u64,
) -> Result<(), Fault> {
    let before = diff.document.array(diff.versions.signed, old, "Kids")?;
    let after = diff.document.array(diff.versions.last, new, "Kids")?;
    let (code, message) = if before.len() < after.len() && appended(&before, &after).is_some() {
        ("PAGE_ADDED", "A page was added after signing.")
    } else if after.len() < before.len() && appended(&after, &before).is_some() {
        ("PAGE_REMOVED", "A page was removed after signing.")
    } else {
        ("PAGES_CHANGED", "The pages of the document were changed after signing.")
    };
    diff.refuse(code, message, offset);
    Ok(())
}

/// What filling in changes in a field or its widget; the place on the page is not part of it.
fn is_filled_in(keys: &[&[u8]]) -> bool {
    let filling: [&[u8]; 6] = [b"V", b"AP", b"AS", b"M", b"I", b"RV"];
    keys.iter().all(|key| filling.contains(key)) && !keys.is_empty()
}

/// A form field with another value: allowed under a certification unless a signature locks it.
fn fill(diff: &mut Diff<'_>, field: &Dictionary, offset: u64) -> Result<(), Fault> {
    let mut names = Vec::new();
    let mut next = Some(field.clone());
    while let Some(level) = next {
        if names.len() > PDF_FIELD_DEPTH_MAX {
            return Err(Fault::OverBudget);
        }
        names.push(match level.get("T") {
            Some(Object::String(name)) => text(&name.bytes),
            _ => String::new(),
        });
        next = diff.document.dictionary(diff.versions.last, &level, "Parent")?;
    }
    names.retain(|name| !name.is_empty());
    names.reverse();
    let name = names.join(".");
    if diff.allowed.locks.iter().any(|lock| lock.holds(&name)) {
        let message = format!("The locked form field “{name}” was changed after signing.");
        diff.refuse("FIELD_LOCKED", message, offset);
    } else if diff.allowed.is_fillable() {
        diff.quirks.insert(FILLED);
    } else {
        let message = format!("The form field “{name}” was changed after signing.");
        diff.refuse("FIELD_FILLED", message, offset);
    }
    Ok(())
}

/// An empty signature field may be signed; a group of fields may get another signature field.
pub(super) fn field(
    diff: &mut Diff<'_>,
    number: u32,
    old: &Dictionary,
    new: &Dictionary,
    offset: u64,
) -> Result<(), Fault> {
    let was_signature = inherited(diff, diff.versions.signed, old, "FT", 0)?;
    let is_signature = was_signature == Some(Object::Name(b"Sig".to_vec()));
    let was_empty = inherited(diff, diff.versions.signed, old, "V", 0)?.is_none();
    let form_kinds: [&[u8]; 3] = [b"Tx", b"Btn", b"Ch"];
    let is_form =
        matches!(&was_signature, Some(Object::Name(kind)) if form_kinds.contains(&&kind[..]));
    if is_form && is_filled_in(&differing(old, new)) {
        return fill(diff, new, offset);
    }
    for key in differing(old, new) {
        let allowed = match key {
            b"V" | b"AP" | b"M" | b"F" | b"MK" | b"Lock" | b"AS" => is_signature && was_empty,
            b"Kids" => {
                let before = diff.document.array(diff.versions.signed, old, "Kids")?;
                let after = diff.document.array(diff.versions.last, new, "Kids")?;
                appended_to(diff, FIELDS, &before, &after, offset)?;
                true
            }
            _ => false,
        };
        if !allowed {
            let key = String::from_utf8_lossy(key).into_owned();
            let message = format!("The “{key}” of an object was changed after signing.");
            diff.refuse("CONTENT_CHANGED", message, offset);
            return Ok(());
        }
    }
    if is_signature && differing(old, new).contains(&&b"AP"[..]) {
        drawing(diff, number, new, offset)?;
    }
    Ok(())
}

/// A field or widget that was added: it must be a new signature field.
fn new_field(diff: &mut Diff<'_>, item: &Object, offset: u64, depth: usize) -> Result<(), Fault> {
    let refuse = |diff: &mut Diff<'_>, code, message: &str, at| {
        diff.refuse(code, message, at);
        Ok(())
    };
    let Object::Reference(number, _) = item else {
        return refuse(diff, "FIELD_INLINE", "A field was added in an unusual way.", offset);
    };
    if depth > PDF_FIELD_DEPTH_MAX {
        return Err(Fault::OverBudget);
    }
    // Something that the signed version already had must not be shown in another place.
    if diff.roles.contains_key(number) {
        return refuse(diff, "OBJECT_MOVED", "A part of the document was moved.", offset);
    }
    let Some(loaded) = diff.document.load(diff.versions.last, *number)? else { return Ok(()) };
    let at = loaded.place.0;
    let Some(new) = loaded.dictionary().filter(|_| loaded.stream.is_none()) else {
        return refuse(diff, "FIELD_MALFORMED", "Something that is no field was added.", at);
    };
    let unknown = new
        .entries
        .keys()
        .find(|key| !FIELD_KEYS.iter().any(|known| known.as_bytes() == key.as_slice()));
    if let Some(key) = unknown {
        let key = String::from_utf8_lossy(key).into_owned();
        let message = format!("A field with “{key}” was added after signing.");
        return refuse(diff, "FIELD_NOT_ALLOWED", &message, at);
    }
    let kids = diff.document.array(diff.versions.last, new, "Kids")?;
    // Only what the form leads to is judged as a signature; a widget beside it just draws.
    let is_signature = diff.versions.members.contains_key(number);
    let is_group = new.get("FT").is_none() && new.get("Subtype").is_none() && !kids.is_empty();
    let is_kind = new.get("Type").is_none() || new.is("Type", "Annot");
    if !(is_signature || is_group) || !is_kind {
        let message = "Something other than a signature was added after signing.";
        return refuse(diff, "ANNOTATION_ADDED", message, at);
    }
    if new.get("Subtype").is_some() && !new.is("Subtype", "Widget") {
        let message = "An annotation was added after signing.";
        return refuse(diff, "ANNOTATION_ADDED", message, at);
    }
    drawing(diff, *number, new, at)?;
    for kid in kids {
        new_field(diff, &kid, at, depth + 1)?;
    }
    Ok(())
}

/// What a new signature field draws: only a signed one may, and not over half a page.
fn drawing(
    diff: &mut Diff<'_>,
    number: u32,
    widget: &Dictionary,
    offset: u64,
) -> Result<(), Fault> {
    let area = area(&diff.document.array(diff.versions.last, widget, "Rect")?);
    if widget.get("AP").is_none() || area == 0.0 {
        return Ok(());
    }
    if diff.versions.members.get(&number) != Some(&true) {
        let message = "A field that is not signed draws something on the signed document.";
        diff.refuse("UNSIGNED_FIELD_DRAWS", message, offset);
    }
    if area > SIGNATURE_AREA_MAX {
        let message = "The picture of a later signature covers more than half a page.";
        diff.refuse("SIGNATURE_COVERS_PAGE", message, offset);
    }
    diff.quirks.insert("the picture of a later signature was added");
    Ok(())
}

fn area(rectangle: &[Object]) -> f64 {
    let number = |object: &Object| match object {
        Object::Integer(value) => i32::try_from(*value).map_or(f64::MAX, f64::from),
        Object::Real(text) => {
            let text = std::str::from_utf8(text).ok();
            text.and_then(|text| text.parse().ok()).unwrap_or(f64::MAX)
        }
        _ => f64::MAX,
    };
    match rectangle {
        [left, bottom, right, top] => {
            ((number(right) - number(left)) * (number(top) - number(bottom))).abs()
        }
        [] => 0.0,
        _ => f64::MAX,
    }
}

/// A value of the field or of its parents.
fn inherited(
    diff: &Diff<'_>,
    view: &View,
    field: &Dictionary,
    key: &str,
    depth: usize,
) -> Result<Option<Object>, Fault> {
    if depth > PDF_FIELD_DEPTH_MAX {
        return Err(Fault::OverBudget);
    }
    if let Some(value) = field.get(key) {
        return Ok(Some(value.clone()));
    }
    match diff.document.dictionary(view, field, "Parent")? {
        Some(parent) => inherited(diff, view, &parent, key, depth + 1),
        None => Ok(None),
    }
}
