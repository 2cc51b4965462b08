//! The OpenAPI document, generated from the routes, and the page to browse it.

use axum::Router;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ComponentsBuilder, ContentBuilder, OpenApi as Document, Ref, RefOr, Required, Response,
        ResponseBuilder,
        header::HeaderBuilder,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, SchemaType, Type},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use crate::app::App;

/// What the document says besides its routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Voxanne",
        description = "AI voice answering for clinics: calls, appointments, leads, and the accounts behind them. Errors \
                       always have the shape of `ProblemBody`. Ids are UUIDs; times are RFC 3339 in UTC.",
        license(name = "Proprietary", identifier = "LicenseRef-Proprietary")
    ),
    security(("access_token" = [])),
    modifiers(&AccessToken),
    components(schemas(crate::http::problem::ProblemBody))
)]
pub struct Api;

struct AccessToken;

impl Modify for AccessToken {
    fn modify(&self, document: &mut Document) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("An access token from sign-up, sign-in or the external issuer."))
            .build();
        let description = "The backend's key, for machines of the platform.";
        let key = ApiKey::Header(ApiKeyValue::with_description("X-Api-Key", description));
        let components = document.components.take().unwrap_or_default();
        document.components = Some(
            ComponentsBuilder::from(components)
                .security_scheme("access_token", SecurityScheme::Http(bearer))
                .security_scheme("api_key", SecurityScheme::ApiKey(key))
                .build(),
        );
    }
}

/// Adds to every operation what holds for all of them, so that no handler has to repeat it.
pub fn complete(document: &mut Document) {
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        let methods = ["get", "post", "put", "patch", "delete"];
        for (method, operation) in methods.into_iter().zip(operations) {
            if let Some(operation) = operation.as_mut() {
                complete_operation(path, method, operation);
            }
        }
    }
}

fn complete_operation(path: &str, method: &str, operation: &mut Operation) {
    let open =
        operation.security.as_ref().is_some_and(|s| s.iter().all(|s| *s == SecurityRequirement::default()));
    let mut add = |status: &str, meaning: &str| {
        operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(problem(meaning, matches!(status, "429" | "503"))));
    };
    add("default", "Any other error, in the one shape of all errors.");
    if operation.request_body.is_some() || operation.parameters.as_ref().is_some_and(|all| !all.is_empty()) {
        add("400", "Something in the request is not valid; `details` names the field and the rule.");
    }
    if operation.request_body.is_some() {
        add("413", "The body is larger than 1 MiB.");
        add("415", "The body is not JSON.");
    }
    if !open {
        add("401", "No valid access token.");
        add("403", "The caller may not do this.");
        add("503", "Too busy, or a dependency is unreachable; nothing was done.");
    }
    if path.contains('{') {
        add("404", "There is no such thing in the caller's organization.");
    }
    if method == "post" && !open && path.starts_with("/api/") {
        add(
            "409",
            "The Idempotency-Key was used for another request, or its first request is still running.",
        );
        operation.parameters.get_or_insert_default().push(RefOr::T(idempotency_key()));
    }
}

fn problem(meaning: &str, says_when: bool) -> Response {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemBody"))).build();
    let mut response = ResponseBuilder::new().description(meaning).content("application/json", body);
    if says_when {
        let seconds = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer)).build();
        let header = HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds to wait.")).build();
        response = response.header("Retry-After", header);
    }
    response.build()
}

fn idempotency_key() -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("The same key and body within 24 hours get the first answer again."))
        .schema(Some(
            ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).max_length(Some(255)).build(),
        ))
        .build()
}

/// Serves `document` and its page.
pub fn routes(document: Document) -> Router<App> {
    let page = utoipa_swagger_ui::SwaggerUi::new("/docs").url("/openapi.json", document);
    Router::new().merge(page)
}

/// The document as text that only changes when the API does.
pub fn as_text(document: &Document) -> Result<String, serde_json::Error> {
    document.to_pretty_json().map(|text| text + "\n")
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        fs,
        path::{Path, PathBuf},
    };

    /// Every source file below `folder`.
    fn sources(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries
            .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
            .filter(|path| path.extension().is_some_and(|kind| kind == "rs"))
            .collect()
    }

    /// Two bodies of one name would silently become one schema, the last one's.
    #[test]
    fn every_schema_has_a_name_of_its_own() {
        let mut seen = BTreeMap::<String, usize>::new();
        for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
            let text = fs::read_to_string(file).unwrap();
            let bodies = text.split("ToSchema").skip(1).filter_map(|rest| {
                let line = rest.lines().find(|line| line.contains("struct ") || line.contains("enum "))?;
                let name =
                    line.split_whitespace().skip_while(|word| !["struct", "enum"].contains(word)).nth(1)?;
                Some(name.split(['{', '(', '<', ';']).next()?.to_owned())
            });
            for name in bodies {
                *seen.entry(name).or_default() += 1;
            }
        }
        let twice: Vec<_> = seen.into_iter().filter(|(_, count)| *count > 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    /// Only `routes!` adds a route and its description at once; `.route(` would add one that nobody can find.
    #[test]
    fn every_route_is_in_the_document() {
        for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
            if !path.ends_with("document.rs") {
                let text = fs::read_to_string(&path).unwrap();
                assert!(!text.contains(".route("), "{} adds a route by hand", path.display());
            }
        }
    }
}
