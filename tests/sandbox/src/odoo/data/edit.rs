//! Changes of records. None of these decides about `write_date`: callers do, with `touch`.

use super::{Data, Id, Model, Over, Val};

impl Data {
    /// Takes the next id.
    pub fn reserve(&mut self, model: Model) -> Id {
        let store = &mut self.stores[model as usize];
        store.next += 1;
        store.next - 1
    }

    /// Adds a record under an id that was reserved: `blank` as a client creates it, else computed as the
    /// seeded ones are.
    pub fn insert(&mut self, model: Model, id: Id, blank: bool, at: i64) {
        let store = &mut self.stores[model as usize];
        let over = Over {
            blank,
            created: Some(at),
            written: Some(at),
            ..Over::default()
        };
        store.over.insert(id, over);
        if let Err(place) = store.live.binary_search(&id) {
            store.live.insert(place, id);
        }
    }

    /// Sets a field and nothing else.
    pub fn set(&mut self, model: Model, id: Id, field: &str, val: Val<'static>) {
        let owns = model.owner().is_some_and(|(owner, _)| owner == field);
        let store = &mut self.stores[model as usize];
        if let (true, Some(owner)) = (owns, val.id()) {
            store.adopted.entry(owner).or_default().push(id);
        }
        let over = store.over.entry(id).or_default();
        over.patch.insert(field.to_owned(), val);
    }

    /// Sets `write_date`.
    pub fn touch(&mut self, model: Model, id: Id, at: i64) {
        let over = &mut self.stores[model as usize].over;
        over.entry(id).or_default().written = Some(at);
    }

    /// Removes records with their parts.
    pub fn remove(&mut self, model: Model, ids: &[Id]) {
        for part in model.parts() {
            let parts: Vec<Id> = ids.iter().flat_map(|id| self.parts(*part, *id)).collect();
            if !parts.is_empty() {
                self.remove(*part, &parts);
            }
        }
        let store = &mut self.stores[model as usize];
        for id in ids {
            if let Ok(place) = store.live.binary_search(id) {
                store.live.remove(place);
            }
            store.over.remove(id);
        }
    }
}
