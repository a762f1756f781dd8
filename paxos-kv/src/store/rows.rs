//! The rows of all keys: their bytes stand together, a page at a time.

use super::{Present, Version, part};
use crate::op::Meta;
use bytes::Bytes;
use std::sync::Arc;

/// Rows in a page. What a page has is copied when it is changed for the first time while a copy of
/// the rows shares it.
const PAGE: usize = 64;

/// A longer value stands apart, and copies of its page share it; a shorter one stands in the page,
/// where it costs its bytes and no more.
const VALUE_HERE_MAX: usize = 1 << 10;

/// A page that is full grows by this part of what it has, when it must.
const SPARE: usize = 8;

/// Where a row stands, for as long as its key is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowId(u32);

/// A key, and what it is like now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub key: &'a [u8],
    pub meta: Meta,
    /// None: the key was deleted.
    pub value: Option<Value<'a>>,
    pub digest: u64,
}

/// A value, wherever it stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Here(&'a [u8]),
    Apart(&'a Bytes),
}

/// The rows, in no order.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pages: Vec<Arc<Page>>,
}

#[derive(Clone, Debug, Default)]
struct Page {
    places: Vec<Option<Place>>,
    /// Of each row its key and, behind that, its value, unless that stands apart.
    bytes: Vec<u8>,
    /// So many of the bytes are of no row any more.
    dead: usize,
}

/// A row of a page.
#[derive(Clone, Debug)]
struct Place {
    /// Where its key begins.
    at: u32,
    key_bytes: u32,
    held: Held,
    meta: Meta,
    digest: u64,
}

#[derive(Clone, Debug)]
enum Held {
    Nothing,
    Here(u32),
    // In a box, so that a row without it is small.
    Apart(Box<Bytes>),
}

impl Rows {
    pub(super) fn get(&self, id: RowId) -> Option<Row<'_>> {
        let page = &self.pages[id.page()];
        page.places[id.place()].as_ref().map(|place| page.row(place))
    }

    pub(super) fn key(&self, id: RowId) -> Option<&[u8]> {
        let page = &self.pages[id.page()];
        page.places[id.place()].as_ref().map(|place| page.key(place))
    }

    /// A row that there was not yet.
    pub(super) fn grow(&mut self) -> RowId {
        if self.pages.last().is_none_or(|page| page.places.len() == PAGE) {
            let places = Vec::with_capacity(PAGE);
            self.pages.push(Arc::new(Page { places, ..Page::default() }));
        }
        let page = self.pages.len() - 1;
        let last = Arc::make_mut(&mut self.pages[page]);
        last.places.push(None);
        let at = page * PAGE + last.places.len() - 1;
        // So many keys would need hundreds of gigabytes.
        RowId(u32::try_from(at).expect("at most four billion keys"))
    }

    /// Gives a key, which has none, its row.
    pub(super) fn set(&mut self, id: RowId, key: &[u8], present: Present<'_>) {
        Arc::make_mut(&mut self.pages[id.page()]).set(id.place(), key, present);
    }

    /// Makes this version the present one of a row. Gives back the one before; none if there is no
    /// such row.
    pub(super) fn replace(&mut self, id: RowId, present: Present<'_>) -> Option<Version> {
        Arc::make_mut(&mut self.pages[id.page()]).replace(id.place(), present)
    }

    pub(super) fn clear(&mut self, id: RowId) {
        Arc::make_mut(&mut self.pages[id.page()]).clear(id.place());
    }

    /// The rows that there are, with a key or without.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.pages.iter().map(|page| page.places.len()).sum()
    }

    /// Each page has the bytes of its rows, and not much else.
    #[cfg(test)]
    pub(super) fn check(&self) {
        for page in &self.pages {
            let live: usize = page.places.iter().flatten().map(Place::bytes).sum();
            assert_eq!(live + page.dead, page.bytes.len());
            assert!(page.dead <= live, "{} bytes of {} are dead", page.dead, page.bytes.len());
        }
    }
}

impl Page {
    fn key(&self, place: &Place) -> &[u8] {
        &self.bytes[place.at as usize..][..place.key_bytes as usize]
    }

    fn row<'a>(&'a self, place: &'a Place) -> Row<'a> {
        let value = match &place.held {
            Held::Nothing => None,
            Held::Here(bytes) => {
                let at = (place.at + place.key_bytes) as usize;
                Some(Value::Here(&self.bytes[at..][..*bytes as usize]))
            }
            Held::Apart(value) => Some(Value::Apart(value)),
        };
        Row { key: self.key(place), meta: place.meta, value, digest: place.digest }
    }

    fn set(&mut self, at: usize, key: &[u8], present: Present<'_>) {
        let (held, here) = present.held();
        self.make_room(key.len() + here.len());
        let place = Place {
            at: self.bytes.len() as u32,
            key_bytes: key.len() as u32,
            held,
            meta: present.meta,
            digest: present.digest,
        };
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(here);
        self.places[at] = Some(place);
        if at + 1 == PAGE {
            self.bytes.shrink_to_fit();
        }
    }

    fn replace(&mut self, at: usize, present: Present<'_>) -> Option<Version> {
        let before = self.row(self.places[at].as_ref()?).version();
        let (held, here) = present.held();
        let place = self.places[at].as_mut()?;
        place.meta = present.meta;
        place.digest = present.digest;
        let room = place.bytes() - place.key_bytes as usize;
        if here.len() <= room {
            let start = (place.at + place.key_bytes) as usize;
            self.bytes[start..start + here.len()].copy_from_slice(here);
            place.held = held;
            self.dead += room - here.len();
            self.tidy();
        } else {
            let key = self.bytes[place.at as usize..][..place.key_bytes as usize].to_vec();
            self.clear(at);
            self.set(at, &key, present);
        }
        Some(before)
    }

    fn clear(&mut self, at: usize) {
        if let Some(place) = self.places[at].take() {
            self.dead += place.bytes();
            self.tidy();
        }
    }

    /// Gives bytes back, if most are dead.
    fn tidy(&mut self) {
        if self.dead > self.bytes.len() / 2 {
            self.repack(0);
        }
    }

    fn make_room(&mut self, more: usize) {
        if self.bytes.capacity() - self.bytes.len() < more {
            let live = self.bytes.len() - self.dead;
            // A page that fills grows as a vector does; its last row takes it to its size.
            let spare = if self.places.len() < PAGE { live } else { live / SPARE };
            self.repack(more.max(spare));
        }
    }

    /// Moves what is alive to where there is room for so many bytes more.
    fn repack(&mut self, more: usize) {
        let mut bytes = Vec::with_capacity(self.bytes.len() - self.dead + more);
        for place in self.places.iter_mut().flatten() {
            let at = place.at as usize;
            place.at = bytes.len() as u32;
            bytes.extend_from_slice(&self.bytes[at..at + place.bytes()]);
        }
        self.bytes = bytes;
        self.dead = 0;
    }
}

impl Place {
    /// Bytes of its page that are its own.
    fn bytes(&self) -> usize {
        let value = match self.held {
            Held::Here(bytes) => bytes,
            Held::Nothing | Held::Apart(_) => 0,
        };
        (self.key_bytes + value) as usize
    }
}

impl<'a> Present<'a> {
    /// How a page holds its value, and what of it stands in the page.
    fn held(&self) -> (Held, &'a [u8]) {
        match self.value {
            None => (Held::Nothing, &[]),
            Some(value) if value.len() <= VALUE_HERE_MAX => (Held::Here(value.len() as u32), value),
            Some(value) => (Held::Apart(Box::new(part(self.within, value))), &[]),
        }
    }
}

impl Row<'_> {
    /// Its version, by itself.
    pub(super) fn version(&self) -> Version {
        let value = self.value.map(|value| value.to_bytes());
        Version { meta: self.meta, value, digest: self.digest }
    }
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Value::Here(value) => value,
            Value::Apart(value) => value,
        }
    }

    /// The value by itself: only a short one is copied.
    pub(super) fn to_bytes(self) -> Bytes {
        match self {
            Value::Here(value) => Bytes::copy_from_slice(value),
            Value::Apart(value) => value.clone(),
        }
    }
}

impl RowId {
    fn page(self) -> usize {
        self.0 as usize / PAGE
    }

    fn place(self) -> usize {
        self.0 as usize % PAGE
    }
}
