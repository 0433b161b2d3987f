//! A PDF as one of its revisions shows it: objects by number.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::cipher::Id;
use super::encryption::Encryption;
use super::file::{Fault, File};
use super::inflate::{InflateBudget, decode};
use super::object::{Dictionary, Lexer, Object, SyntaxError};
use super::table::Table;
use super::xref::{self, Entry, Section};
use crate::limits::{
    PDF_CACHED_SIZE_MAX, PDF_CACHED_VALUES_MAX, PDF_OBJECTS_MAX, PDF_STEPS_MAX, PDF_VIEW_LAYERS_MAX,
};

/// The whole file: its cross-reference sections and the objects read so far.
pub(super) struct Document<'a> {
    pub file: File<'a>,
    /// Newest first.
    pub sections: Vec<Section>,
    inflated: InflateBudget,
    /// Objects that may still be visited: every signature walks its own revision.
    steps: Cell<usize>,
    loaded: RefCell<HashMap<Place, Rc<Loaded>>>,
    /// What the budget for values was when `loaded` was empty.
    values_before: Cell<usize>,
    containers: RefCell<HashMap<u64, Rc<Container>>>,
    /// Object streams that are being read: the length of one may not stand inside it.
    opening: RefCell<BTreeSet<u64>>,
    encryption: Option<Encryption>,
}

/// Where an object was read: offset of the object or of its container, and index inside.
pub(super) type Place = (u64, Option<u32>);

/// An object and where it stands.
#[derive(Debug)]
pub(super) struct Loaded {
    pub object: Object,
    pub place: Place,
    /// Where the data of a stream begins.
    pub stream: Option<u64>,
    /// The name that an encrypted stream has a part of its key from.
    pub id: Option<Id>,
}

impl Loaded {
    pub fn dictionary(&self) -> Option<&Dictionary> {
        match &self.object {
            Object::Dictionary(dictionary) => Some(dictionary),
            _ => None,
        }
    }
}

/// An object stream, decoded.
struct Container {
    bytes: Vec<u8>,
    /// Object number and offset in `bytes`.
    objects: Vec<(u32, usize)>,
}

impl View {
    /// The objects that stand in one of these object streams.
    pub fn packed_in(&self, containers: &BTreeSet<u32>) -> Vec<u32> {
        let in_one = |entry: &Entry| match entry {
            Entry::Packed { container, .. } => containers.contains(container),
            _ => false,
        };
        let mut found = Vec::new();
        for (depth, layer) in self.layers.iter().enumerate() {
            let newer = self.layers.get(..depth).unwrap_or_default();
            let is_shown = |number| newer.iter().all(|layer| layer.get(number).is_none());
            let packed = layer.iter().filter(|(_, entry)| in_one(entry)).map(|(number, _)| number);
            found.extend(packed.filter(|number| is_shown(*number)));
        }
        found
    }

    fn entry(&self, number: u32) -> Option<&Entry> {
        self.layers.iter().find_map(|layer| layer.get(number))
    }
}

/// The file as it was after one revision.
pub(super) struct View {
    /// What the sections say, newest first; the old ones of a long chain are one.
    layers: Vec<Rc<Table>>,
    pub trailer: Dictionary,
    /// Nothing at or after this offset belongs to the revision.
    pub limit: u64,
}

impl<'a> Document<'a> {
    pub fn open(file: File<'a>) -> Result<Self, (File<'a>, Fault)> {
        let inflated = InflateBudget::default();
        let sections =
            xref::start(&file, file.size).and_then(|start| xref::chain(&file, &inflated, start));
        match sections {
            Ok(sections) => Ok(Self {
                file,
                sections,
                inflated,
                steps: Cell::new(PDF_STEPS_MAX),
                values_before: Cell::new(usize::MAX),
                loaded: RefCell::default(),
                containers: RefCell::default(),
                opening: RefCell::default(),
                encryption: None,
            }),
            Err(fault) => Err((file, fault)),
        }
    }

    /// Reads encrypted strings and streams from now on; nothing was loaded before.
    pub fn decrypt_with(&mut self, encryption: Encryption) {
        self.encryption = Some(encryption);
    }

    /// Whether what a stream says depends on the number of its object.
    pub fn is_encrypted(&self) -> bool {
        self.encryption.is_some()
    }

    /// Takes from the number of objects that may be visited in this file.
    pub fn spend_steps(&self, count: usize) -> Result<(), Fault> {
        self.steps.set(self.steps.get().checked_sub(count).ok_or(Fault::OverBudget)?);
        Ok(())
    }

    /// The file without its `newer` newest sections.
    pub fn view(&self, newer: usize, limit: u64) -> Result<View, Fault> {
        let mut sections = self.sections.iter().skip(newer);
        let newest = sections.by_ref().take(PDF_VIEW_LAYERS_MAX);
        let mut layers: Vec<Rc<Table>> = newest.map(|section| section.entries.clone()).collect();
        let mut old = Table::default();
        for section in sections.rev() {
            self.spend_steps(section.entries.len())?;
            old = old.overlaid(&section.entries);
        }
        layers.push(Rc::new(old));
        let trailer = self.sections.get(newer).map(|s| s.trailer.clone()).unwrap_or_default();
        Ok(View { layers, trailer, limit })
    }

    /// The object with this number; `None` if the view has none.
    pub fn load(&self, view: &View, number: u32) -> Result<Option<Rc<Loaded>>, Fault> {
        let place = match view.entry(number) {
            None | Some(Entry::Free) => return Ok(None),
            Some(Entry::At { offset }) => (*offset, None),
            Some(Entry::Packed { container, index }) => match view.entry(*container) {
                Some(Entry::At { offset }) => (*offset, Some(*index)),
                _ => return Err(Fault::Broken(0)),
            },
        };
        if let Some(loaded) = self.loaded.borrow().get(&place) {
            return Ok(Some(loaded.clone()));
        }
        let loaded = Rc::new(match place {
            (offset, None) => self.read(view, number, offset)?,
            (offset, Some(index)) => self.unpack(view, number, offset, index)?,
        });
        let mut cache = self.loaded.borrow_mut();
        // What was forgotten is read again, as long as the budget for values lasts.
        let left = self.file.values.left();
        if self.values_before.get().saturating_sub(left) > PDF_CACHED_VALUES_MAX {
            cache.clear();
            self.values_before.set(left);
        }
        cache.insert(place, loaded.clone());
        Ok(Some(loaded))
    }

    /// The object behind a reference, or the object itself.
    pub fn resolve(&self, view: &View, object: &Object) -> Result<Option<Rc<Loaded>>, Fault> {
        match object {
            Object::Reference(number, _) => self.load(view, *number),
            direct => Ok(Some(Rc::new(Loaded {
                object: direct.clone(),
                place: (0, Some(0)),
                stream: None,
                id: None,
            }))),
        }
    }

    /// The dictionary under `key`, direct or not.
    pub fn dictionary(
        &self,
        view: &View,
        dictionary: &Dictionary,
        key: &str,
    ) -> Result<Option<Dictionary>, Fault> {
        let Some(value) = dictionary.get(key) else { return Ok(None) };
        Ok(self.resolve(view, value)?.and_then(|loaded| loaded.dictionary().cloned()))
    }

    /// The array under `key`, direct or not; empty if absent.
    pub fn array(
        &self,
        view: &View,
        dictionary: &Dictionary,
        key: &str,
    ) -> Result<Vec<Object>, Fault> {
        let Some(value) = dictionary.get(key) else { return Ok(Vec::new()) };
        Ok(match self.resolve(view, value)?.as_deref() {
            Some(Loaded { object: Object::Array(items), .. }) => items.clone(),
            _ => Vec::new(),
        })
    }

    /// The catalog.
    pub fn root(&self, view: &View) -> Result<Dictionary, Fault> {
        self.dictionary(view, &view.trailer, "Root")?.ok_or(Fault::Broken(0))
    }

    fn read(&self, view: &View, number: u32, offset: u64) -> Result<Loaded, Fault> {
        let mut loaded = self.opened(view, offset)?;
        match loaded.id {
            Some((found, _)) if found == number => {}
            _ => return Err(Fault::Broken(offset)),
        }
        if let (Some(encryption), Some(id)) = (&self.encryption, loaded.id) {
            encryption.object(id, &mut loaded.object).ok_or(Fault::Undeciphered(offset))?;
        }
        Ok(loaded)
    }

    /// The object at `offset` as it stands there.
    fn opened(&self, view: &View, offset: u64) -> Result<Loaded, Fault> {
        self.file.parse(offset, view.limit, |lexer| {
            let (id, object, stream) = named(lexer)?;
            Ok(Loaded { object, place: (offset, None), stream, id: Some(id) })
        })
    }

    /// The data of a stream, decrypted and still packed.
    pub fn stream_data(&self, view: &View, loaded: &Loaded) -> Result<Cow<'_, [u8]>, Fault> {
        let (start, end) = self.stream_range(view, loaded)?;
        let bytes = self.file.stored(start, end)?;
        let Some(encryption) = &self.encryption else { return Ok(bytes) };
        let named = loaded.id.zip(loaded.dictionary());
        let plain = named.and_then(|(id, dictionary)| encryption.stream(id, dictionary, &bytes));
        plain.map(Cow::Owned).ok_or(Fault::Undeciphered(loaded.place.0))
    }

    /// What may still be inflated.
    pub fn inflated(&self) -> &InflateBudget {
        &self.inflated
    }

    /// The bytes of a stream as they are stored.
    pub fn stream_range(&self, view: &View, loaded: &Loaded) -> Result<(u64, u64), Fault> {
        let broken = Fault::Broken(loaded.place.0);
        let (Some(start), Some(dictionary)) = (loaded.stream, loaded.dictionary()) else {
            return Err(broken);
        };
        let length = match dictionary.get("Length") {
            Some(Object::Integer(length)) => u64::try_from(*length).ok(),
            Some(Object::Reference(number, _)) => match self.load(view, *number)?.as_deref() {
                Some(Loaded { object: Object::Integer(length), .. }) => u64::try_from(*length).ok(),
                _ => None,
            },
            _ => None,
        };
        let end = length.and_then(|length| start.checked_add(length));
        let end = end.filter(|&end| end <= view.limit).ok_or(broken)?;
        Ok((start, end))
    }

    fn unpack(&self, view: &View, number: u32, offset: u64, index: u32) -> Result<Loaded, Fault> {
        let container = self.container(view, offset)?;
        let broken = Fault::Broken(offset);
        let index_in = usize::try_from(index).map_err(|_| broken)?;
        let &(found, start) = container.objects.get(index_in).ok_or(broken)?;
        let bytes = container.bytes.get(start..).ok_or(broken)?;
        if found != number {
            return Err(broken);
        }
        let object =
            Lexer::new(bytes, 0, &self.file.values).object().map_err(|error| match error {
                SyntaxError::TooMany => Fault::OverBudget,
                _ => broken,
            })?;
        Ok(Loaded { object, place: (offset, Some(index)), stream: None, id: None })
    }

    fn container(&self, view: &View, offset: u64) -> Result<Rc<Container>, Fault> {
        if let Some(container) = self.containers.borrow().get(&offset) {
            return Ok(container.clone());
        }
        if !self.opening.borrow_mut().insert(offset) {
            return Err(Fault::Broken(offset));
        }
        let container = self.open_container(view, offset);
        self.opening.borrow_mut().remove(&offset);
        let container = Rc::new(container?);
        let mut containers = self.containers.borrow_mut();
        let size = |container: &Container| container.bytes.len() + 16 * container.objects.len();
        let kept: usize = containers.values().map(|container| size(container)).sum();
        if kept + size(&container) > PDF_CACHED_SIZE_MAX {
            containers.clear();
        }
        containers.insert(offset, container.clone());
        Ok(container)
    }

    fn open_container(&self, view: &View, offset: u64) -> Result<Container, Fault> {
        let broken = Fault::Broken(offset);
        let loaded = self.opened(view, offset)?;
        let dictionary = loaded.dictionary().filter(|d| d.is("Type", "ObjStm")).ok_or(broken)?;
        let mut bytes = decode(dictionary, &self.stream_data(view, &loaded)?, &self.inflated)?;
        // The last objects may be numbers that end with the stream: what follows shows that they
        // are no reference, and ends no array or dictionary.
        bytes.extend(b" )");
        let count = dictionary.unsigned("N").ok_or(broken)?;
        let first = dictionary.unsigned("First").and_then(|n| usize::try_from(n).ok());
        let first = first.ok_or(broken)?;
        if count > u64::try_from(PDF_OBJECTS_MAX).unwrap_or(u64::MAX) {
            return Err(Fault::OverBudget);
        }
        let mut objects = Vec::new();
        let mut lexer = Lexer::new(&bytes, 0, &self.file.values);
        for _ in 0..count {
            let pair = lexer.unsigned().and_then(|number| Ok((number, lexer.unsigned()?)));
            let (number, at) = pair.map_err(|_| broken)?;
            let number = u32::try_from(number).map_err(|_| broken)?;
            let at = usize::try_from(at).ok().and_then(|at| at.checked_add(first));
            objects.push((number, at.ok_or(broken)?));
        }
        Ok(Container { bytes, objects })
    }
}

/// `N G obj … endobj`, or up to the data of a stream: number, object, begin of the data.
pub(super) fn indirect(lexer: &mut Lexer<'_>) -> Result<(u64, Object, Option<u64>), SyntaxError> {
    let ((number, _), object, stream) = named(lexer)?;
    Ok((u64::from(number), object, stream))
}

/// The same with the generation of the object.
fn named(lexer: &mut Lexer<'_>) -> Result<(Id, Object, Option<u64>), SyntaxError> {
    let number = u32::try_from(lexer.unsigned()?).map_err(|_| SyntaxError::Malformed)?;
    let generation = u16::try_from(lexer.unsigned()?).map_err(|_| SyntaxError::Malformed)?;
    let id = (number, generation);
    lexer.keyword(b"obj")?;
    let object = lexer.object()?;
    lexer.skip_space();
    // Fewer bytes than the keyword needs cannot tell `stream` from `endobj`.
    lexer.needs(b"endobj".len())?;
    if matches!(object, Object::Dictionary(_)) && lexer.has_keyword(b"stream") {
        lexer.stream_start()?;
        return Ok((id, object, Some(lexer.offset())));
    }
    lexer.keyword(b"endobj")?;
    Ok((id, object, None))
}
