//! The open calls.

use super::CallId;
use super::call::Call;
use alloc::vec::Vec;

/// Bits of an id that say where its call stands. The others tell it from all that stood there
/// before.
const PLACE_BITS: u32 = 16;
/// The place of a call that is never open.
const NOWHERE: usize = (1 << PLACE_BITS) - 1;

/// A slab: at most one call at each place, and an id names its place.
#[derive(Debug)]
pub(super) struct Calls {
    places: Vec<Option<(CallId, Call)>>,
    free: Vec<usize>,
    /// The next id's upper bits.
    serial: u64,
}

impl Calls {
    /// No calls. Ids begin somewhere, by a random number: a node that served a former life of this
    /// client must not take a new read for an old.
    pub(super) fn new(random: u64) -> Calls {
        Calls { places: Vec::new(), free: Vec::new(), serial: random >> (PLACE_BITS + 1) }
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether one more may be opened, where at most `most` are open.
    pub(super) fn has_room(&self, most: usize) -> bool {
        self.len() < most.min(NOWHERE)
    }

    /// Opens a call.
    pub(super) fn open(&mut self, call: Call) -> CallId {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        let id = self.next_id(place);
        self.places[place] = Some((id, call));
        id
    }

    /// The id of a call that ends before it is open.
    pub(super) fn never_open(&mut self) -> CallId {
        self.next_id(NOWHERE)
    }

    pub(super) fn get(&self, id: CallId) -> Option<&Call> {
        let at = self.places.get(place(id))?.as_ref();
        at.filter(|(there, _)| *there == id).map(|(_, call)| call)
    }

    pub(super) fn get_mut(&mut self, id: CallId) -> Option<&mut Call> {
        let at = self.places.get_mut(place(id))?.as_mut();
        at.filter(|(there, _)| *there == id).map(|(_, call)| call)
    }

    /// Ends a call.
    pub(super) fn end(&mut self, id: CallId) -> Option<Call> {
        let (_, call) = self.places.get_mut(place(id))?.take_if(|(there, _)| *there == id)?;
        self.free.push(place(id));
        Some(call)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Call> {
        self.places.iter_mut().flatten().map(|(_, call)| call)
    }

    /// Those of which `is_it` holds, in the order in which they were opened.
    pub(super) fn ids_where(&self, is_it: impl Fn(&Call) -> bool) -> Vec<CallId> {
        let open = self.places.iter().flatten();
        let mut ids: Vec<CallId> =
            open.filter(|(_, call)| is_it(call)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    fn next_id(&mut self, place: usize) -> CallId {
        let id = CallId(self.serial << PLACE_BITS | place as u64);
        self.serial += 1;
        id
    }
}

fn place(id: CallId) -> usize {
    id.0 as usize & NOWHERE
}

#[cfg(test)]
mod tests {
    use super::super::call::Work;
    use super::*;
    use crate::config::Now;
    use crate::rng::Rng;
    use alloc::collections::BTreeMap;
    use bytes::Bytes;

    #[test]
    fn it_holds_what_a_map_would() {
        for seed in 0..100 {
            let mut rng = Rng::new(seed);
            let (mut calls, mut map, mut gone) = (Calls::new(seed), BTreeMap::new(), Vec::new());
            for number in 0..100 {
                if rng.between(0, 3) > 0 && calls.has_room(9) {
                    let call = Call::new(Work::Read { query: Bytes::new() }, Now(number));
                    let id = calls.open(call);
                    assert!(map.keys().all(|other| *other < id), "ids ascend");
                    map.insert(id, number);
                } else if let Some((id, number)) = map.pop_first() {
                    assert_eq!(calls.end(id).map(|call| call.deadline), Some(Now(number)));
                    gone.push(id);
                }
                gone.push(calls.never_open());
                assert_eq!(calls.len(), map.len());
                assert_eq!(calls.has_room(9), map.len() < 9);
                assert!(map.iter().all(|(&id, &n)| calls.get(id).unwrap().deadline == Now(n)));
                assert!(gone.iter().all(|&id| calls.get(id).is_none()), "seed {seed}");
                let even: Vec<_> = map.iter().filter(|(_, n)| **n % 2 == 0).collect();
                let even: Vec<CallId> = even.into_iter().map(|(id, _)| *id).collect();
                assert_eq!(calls.ids_where(|call| call.deadline.0 % 2 == 0), even, "seed {seed}");
            }
        }
    }
}
