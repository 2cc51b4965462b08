//! Objects of one kind, as the API keeps them: by id, newest first.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// Objects of one kind in the order they were made. Kept, it is a list of them.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(into = "Vec<Object>", try_from = "Vec<Object>")]
pub(crate) struct Collection {
    next: u64,
    rows: BTreeMap<u64, Object>,
    by_id: HashMap<String, u64>,
}

impl Collection {
    /// Keeps an object under its `id`.
    pub(crate) fn insert(&mut self, object: Object) {
        self.next += 1;
        self.by_id.insert(text(&object, "id").to_owned(), self.next);
        self.rows.insert(self.next, object);
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Object> {
        self.rows.get(self.by_id.get(id)?)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Object> {
        self.rows.get_mut(self.by_id.get(id)?)
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Object> {
        let key = self.by_id.remove(id)?;
        self.rows.remove(&key)
    }

    /// All, the newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Object> {
        self.rows.values().rev()
    }
}

impl From<Collection> for Vec<Object> {
    fn from(collection: Collection) -> Self {
        collection.rows.into_values().collect()
    }
}

impl FromIterator<Object> for Collection {
    fn from_iter<I: IntoIterator<Item = Object>>(objects: I) -> Self {
        let mut collection = Self::default();
        objects.into_iter().for_each(|object| collection.insert(object));
        collection
    }
}

impl TryFrom<Vec<Object>> for Collection {
    type Error = &'static str;

    fn try_from(objects: Vec<Object>) -> Result<Self, Self::Error> {
        if objects.iter().any(|object| text(object, "id").is_empty()) {
            return Err("an object without an id");
        }
        Ok(objects.into_iter().collect())
    }
}

/// A string field, empty when it is not there or null.
pub(crate) fn text<'a>(object: &'a Object, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}
