//! The field of a signature: a new one, or an empty one that the document offers.

use super::Error;
use super::drawing::{self, Drawing};
use super::page::{escape, text_string};
use super::revision::{Field, Object, Page, Revision, Values, reference, reference_to};

/// The objects that make object `signature` the value of the field `name`; numbers after it are free.
pub fn objects(
    revision: &Revision<'_>,
    signature: u32,
    name: &str,
    drawing: Option<&Drawing<'_>>,
) -> Result<Vec<Object>, Error> {
    if revision.outline().certification()? == Some(1) {
        return Err(Error::Pdf("it is certified and allows no change, not even a signature"));
    }
    let fields = revision.outline().fields()?;
    match fields.iter().find(|field| field.name == name) {
        None => added(revision, signature, name, drawing),
        Some(field) if field.is_signed => {
            Err(Error::Pdf("it has a signed field of that name already"))
        }
        Some(field) => filled(revision, signature, field, drawing),
    }
}

/// The value of an empty signature field is set; what it shows keeps the field's place.
fn filled(
    revision: &Revision<'_>,
    signature: u32,
    field: &Field,
    drawing: Option<&Drawing<'_>>,
) -> Result<Vec<Object>, Error> {
    let id = match field.id {
        _ if !field.is_signature => Err("it has a field of that name that is not for signatures"),
        _ if field.is_bound => Err("its field prescribes how to sign, which is not followed here"),
        _ if field.has_kids => {
            Err("its field stands in several places, which is not followed here")
        }
        None => Err("its field is not an object of its own"),
        Some(id) => Ok(id),
    };
    let id = id.map_err(Error::Pdf)?;
    let (form, picture) = (signature + 1, signature + 2);
    let mut values = revision.outline().values(id)?.with("V", reference(signature));
    let mut objects = Vec::new();
    if let Some(drawing) = drawing {
        let pages = revision.outline().pages()?;
        let page = pages.iter().find(|page| Some(page.id) == field.page);
        let page = page.ok_or(Error::Pdf("its field does not say on which page it stands"))?;
        let place = field.rectangle.unwrap_or_default();
        let drawing = Drawing { rectangle: drawing::as_seen(page, place), ..drawing.clone() };
        objects = drawing.objects(picture, page.rotation)?;
        values = values.with("AP", format!("<< /N {} >>", reference(picture)));
        values = values.with("F", "132");
    }
    objects.push(Object::again(id, values.text()));
    objects.extend(with_form(revision, form, |form| Ok(form.with("SigFlags", "3")))?);
    Ok(objects)
}

/// A new field, which is its own widget.
fn added(
    revision: &Revision<'_>,
    signature: u32,
    name: &str,
    drawing: Option<&Drawing<'_>>,
) -> Result<Vec<Object>, Error> {
    if name.is_empty() || name.contains('.') {
        return Err(Error::Pdf("a new field needs a name without a period"));
    }
    let (widget, form, picture) = (signature + 1, signature + 2, signature + 3);
    let pages = revision.outline().pages()?;
    let page = drawing.map_or_else(
        || pages.first().ok_or(Error::Pdf("it has no page")),
        |drawing| drawing.page.of(&pages),
    )?;
    let shown = if name.is_ascii() { format!("({})", escape(name)) } else { text_string(name) };
    let mut text = format!(
        "<< /Type /Annot /Subtype /Widget /FT /Sig /T {shown} /V {} /F 132 /P {}",
        reference(signature),
        reference_to(page.id)
    );
    let mut objects = Vec::new();
    match drawing {
        None => text.push_str(" /Rect [0 0 0 0] >>"),
        Some(drawing) => {
            drawing.fits(page)?;
            let place = drawing::on_page(page, drawing.rectangle);
            let place = place.map(|value| format!("{value:.2}")).join(" ");
            text.push_str(&format!(" /Rect [{place}] /AP << /N {} >> >>", reference(picture)));
            objects = drawing.objects(picture, page.rotation)?;
        }
    }
    objects.push(Object::new(widget, text));
    objects.push(annotated(revision, page, widget)?);
    objects.extend(with_form(revision, form, |form| {
        let fields = revision.extended(form.get("Fields"), widget)?;
        Ok(form.with("Fields", fields).with("SigFlags", "3"))
    })?);
    Ok(objects)
}

fn annotated(revision: &Revision<'_>, page: &Page, widget: u32) -> Result<Object, Error> {
    let values = revision.outline().values(page.id)?;
    let annotations = revision.extended(values.get("Annots"), widget)?;
    Ok(Object::again(page.id, values.with("Annots", annotations).text()))
}

/// The form after `change`; object `number` if it is no object of its own yet, which the catalog
/// then learns.
fn with_form(
    revision: &Revision<'_>,
    number: u32,
    change: impl Fn(Values) -> Result<Values, Error>,
) -> Result<Vec<Object>, Error> {
    let outline = revision.outline();
    let catalog_id = outline.catalog()?;
    let catalog = outline.values(catalog_id)?;
    let old = catalog.get("AcroForm").map(str::to_owned);
    if let Some(id) = old.as_deref().and_then(super::revision::Id::read) {
        return Ok(vec![Object::again(id, change(outline.values(id)?)?.text())]);
    }
    let old = old.map_or_else(|| Ok(Values::default()), |text| Values::read(&text))?;
    let form = Object::new(number, change(old)?.text());
    let catalog = catalog.with("AcroForm", reference(number));
    Ok(vec![form, Object::again(catalog_id, catalog.text())])
}
