//! The five operations that assistants, tools, numbers and credentials have in common.

use std::collections::HashMap;
use std::future::ready;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use uuid::Uuid;

use super::body::JsonObject;
use super::collection::{Collection, Object};
use super::listing::Listing;
use super::refusal::Refusal;
use super::schema;
use super::store::Store;
use crate::clock::iso;
use crate::world::{Shared, World};

/// What distinguishes one kind of object from the others.
pub(crate) struct Resource {
    /// Its path.
    pub(crate) path: &'static str,
    /// Its name in error messages.
    pub(crate) label: &'static str,
    pub(crate) rows: fn(&mut Store) -> &mut Collection,
    /// The official schema a new object has to fit.
    pub(crate) create_schema: fn(&Object) -> Result<&'static str, Refusal>,
    /// The official schema a change to this object has to fit.
    pub(crate) update_schema: fn(&Object) -> &'static str,
    /// The rules no schema can state, and what the provider adds by itself. Called with the whole object as
    /// it would be stored.
    pub(crate) admit: fn(&World, &mut Store, &mut Object) -> Result<(), Refusal>,
    /// The object as it is shown.
    pub(crate) show: fn(&Object) -> Object,
}

/// The routes of a kind.
pub(crate) fn routes(kind: &'static Resource) -> Router<Shared> {
    Router::new()
        .route(
            kind.path,
            get(move |State(world): State<Shared>, Query(query)| ready(list(kind, &world, &query)))
                .post(move |State(world): State<Shared>, JsonObject(body)| ready(create(kind, &world, body))),
        )
        .route(
            &format!("{}/{{id}}", kind.path),
            get(move |State(world): State<Shared>, Path::<String>(id)| ready(read(kind, &world, &id)))
                .patch(move |State(world): State<Shared>, Path::<String>(id), JsonObject(body)| {
                    ready(update(kind, &world, &id, body))
                })
                .delete(move |State(world): State<Shared>, Path::<String>(id)| {
                    ready(delete(kind, &world, &id))
                }),
        )
}

type Answer = Result<Json<Value>, Refusal>;

fn create(kind: &Resource, world: &World, mut body: Object) -> Result<(StatusCode, Json<Value>), Refusal> {
    let schema = (kind.create_schema)(&body)?;
    body.retain(|_, value| !value.is_null());
    fits(schema, &body)?;
    let mut store = world.vapi.store();
    let at = iso(world.clock.stamp());
    body.insert("id".into(), json!(world.ids.uuid()));
    body.insert("orgId".into(), json!(store.org_id));
    body.insert("createdAt".into(), json!(at));
    body.insert("updatedAt".into(), json!(at));
    (kind.admit)(world, &mut store, &mut body)?;
    let shown = (kind.show)(&body);
    (kind.rows)(&mut store).insert(body);
    Ok((StatusCode::CREATED, Json(shown.into())))
}

fn list(kind: &Resource, world: &World, query: &HashMap<String, String>) -> Answer {
    let listing = Listing::read(query, &[])?;
    let mut store = world.vapi.store();
    Ok(Json(
        listing.of((kind.rows)(&mut store)).into_iter().map(|row| Value::Object((kind.show)(row))).collect(),
    ))
}

fn read(kind: &Resource, world: &World, id: &str) -> Answer {
    let id = known(id)?;
    let mut store = world.vapi.store();
    let row = (kind.rows)(&mut store).get(&id).ok_or_else(|| Refusal::missing(kind.label, &id))?;
    Ok(Json((kind.show)(row).into()))
}

/// Every field that is given replaces the stored one whole; null takes it away. Nothing is merged deeper:
/// a client that sends half of a `model` loses the other half, here as there.
fn update(kind: &Resource, world: &World, id: &str, mut patch: Object) -> Answer {
    let id = known(id)?;
    let mut store = world.vapi.store();
    let stored = (kind.rows)(&mut store).get(&id).ok_or_else(|| Refusal::missing(kind.label, &id))?;
    let mut changed = stored.clone();
    // The tag that says which kind of object this is may be repeated, not changed.
    for tag in ["type", "provider"] {
        if patch.contains_key(tag) && patch.get(tag) == stored.get(tag) {
            patch.remove(tag);
        }
    }
    fits((kind.update_schema)(stored), &patch)?;
    for (field, value) in patch {
        if value.is_null() {
            changed.remove(&field);
        } else {
            changed.insert(field, value);
        }
    }
    changed.insert("updatedAt".into(), json!(iso(world.clock.stamp())));
    (kind.admit)(world, &mut store, &mut changed)?;
    let shown = (kind.show)(&changed);
    if let Some(stored) = (kind.rows)(&mut store).get_mut(&id) {
        *stored = changed;
    }
    Ok(Json(shown.into()))
}

fn delete(kind: &Resource, world: &World, id: &str) -> Answer {
    let id = known(id)?;
    let mut store = world.vapi.store();
    let gone = (kind.rows)(&mut store).remove(&id).ok_or_else(|| Refusal::missing(kind.label, &id))?;
    Ok(Json((kind.show)(&gone).into()))
}

/// Refuses what the official schema refuses.
pub(crate) fn fits(schema: &str, body: &Object) -> Result<(), Refusal> {
    let problems = schema::violations(schema, &Value::Object(body.clone()));
    if problems.is_empty() { Ok(()) } else { Err(Refusal::invalid(problems)) }
}

/// An id from a path, which has to be a UUID.
pub(crate) fn known(id: &str) -> Result<String, Refusal> {
    id.parse::<Uuid>()
        .map(|id| id.to_string())
        .map_err(|_| Refusal::invalid(vec!["id must be a UUID".to_owned()]))
}
