//! *Purpose*: the routes of the API, for people to read.
//!
//! *Owns*: [`DocsPage`].
//!
//! *Promises*: it is drawn from the OpenAPI document and says nothing else; it needs no script and
//! nothing from elsewhere.
//!
//! *Not here*: the document (`api::openapi`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use askama::Template;
use serde_json::{Map, Value};

use super::region::page;
use super::shell::Shell;
use crate::api;

/// What a reference of the document begins with.
const SCHEMAS: &str = "#/components/schemas/";

struct Field {
    name: String,
    place: String,
    kind: String,
    words: String,
}

struct Answer {
    status: String,
    body: String,
    words: String,
}

struct Route {
    id: String,
    method: String,
    path: String,
    words: String,
    parameters: Vec<Field>,
    body: String,
    answers: Vec<Answer>,
}

struct Group {
    name: String,
    routes: Vec<Route>,
}

struct Shape {
    name: String,
    words: String,
    fields: Vec<Field>,
}

struct Book {
    about: String,
    groups: Vec<Group>,
    shapes: Vec<Shape>,
}

static BOOK: LazyLock<Book> =
    LazyLock::new(|| Book::of(&serde_json::to_value(api::document()).unwrap_or_default()));

/// The routes of the API.
#[derive(Template)]
#[template(path = "docs.html", blocks = ["main"])]
pub struct DocsPage {
    shell: Shell,
    book: &'static Book,
}

impl DocsPage {
    /// All of them.
    #[must_use]
    pub fn new(shell: Shell) -> DocsPage {
        DocsPage { shell, book: &BOOK }
    }
}

// No part changes by itself: it changes with the binary.
page!(DocsPage {});

impl Book {
    fn of(document: &Value) -> Book {
        let mut groups: BTreeMap<String, Vec<Route>> = BTreeMap::new();
        for (path, methods) in object(&document["paths"]) {
            for (method, of) in object(methods) {
                let tag = text(&of["tags"][0]);
                groups.entry(tag).or_default().push(route(path, method, of));
            }
        }
        let group = |(name, routes)| Group { name, routes };
        Book {
            about: text(&document["info"]["description"]),
            groups: groups.into_iter().map(group).collect(),
            shapes: object(&document["components"]["schemas"])
                .map(|(name, of)| Shape {
                    name: name.clone(),
                    words: text(&of["description"]),
                    fields: fields(of),
                })
                .collect(),
        }
    }
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn route(path: &str, method: &str, of: &Value) -> Route {
    let parameter = |one: &Value| Field {
        name: text(&one["name"]),
        place: text(&one["in"]),
        kind: kind(&one["schema"]),
        words: text(&one["description"]),
    };
    let answer = |(status, one): (&String, &Value)| Answer {
        status: status.clone(),
        body: body(&one["content"]),
        words: text(&one["description"]),
    };
    Route {
        id: text(&of["operationId"]),
        method: method.to_uppercase(),
        path: path.to_owned(),
        words: text(&of["description"]),
        parameters: list(&of["parameters"]).iter().map(parameter).collect(),
        body: body(&of["requestBody"]["content"]),
        answers: object(&of["responses"]).map(answer).collect(),
    }
}

/// What a body is, in its first form.
fn body(content: &Value) -> String {
    object(content).next().map(|(media, of)| named(media, &of["schema"])).unwrap_or_default()
}

fn named(media: &str, schema: &Value) -> String {
    match kind(schema) {
        none if none.is_empty() => media.to_owned(),
        kind if media.ends_with("json") => kind,
        kind => format!("{media}: {kind}"),
    }
}

/// What a value is: the name of a shape, or of a type.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return name.strip_prefix(SCHEMAS).unwrap_or(name).to_owned();
    }
    let several = [&schema["oneOf"], &schema["anyOf"], &schema["allOf"]];
    if let Some(all) = several.into_iter().find(|all| all.is_array()) {
        return list(all).iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let names: Vec<String> = match &schema["type"] {
        Value::Array(all) => all.iter().map(text).collect(),
        one => vec![text(one)],
    };
    match names.join(" or ").as_str() {
        "array" => format!("list of {}", kind(&schema["items"])),
        other => other.to_owned(),
    }
}

fn fields(of: &Value) -> Vec<Field> {
    let needed: Vec<&str> = list(&of["required"]).iter().filter_map(Value::as_str).collect();
    let own = object(&of["properties"]).map(|(name, one)| Field {
        name: name.clone(),
        place: if needed.contains(&name.as_str()) { "always" } else { "" }.to_owned(),
        kind: kind(one),
        words: text(&one["description"]),
    });
    own.chain(list(&of["allOf"]).iter().flat_map(fields)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_and_shape_is_in_the_book() {
        let routes: usize = BOOK.groups.iter().map(|group| group.routes.len()).sum();
        let documented = api::ROUTES.iter().filter(|route| route.is_documented());
        assert_eq!(routes, documented.count());
        let list = BOOK.groups.iter().flat_map(|group| &group.routes);
        for route in list.clone() {
            assert!(!route.words.is_empty() && !route.answers.is_empty(), "{}", route.path);
        }
        let jobs = list.clone().find(|one| one.id == "post_jobs").map(|one| one.body.as_str());
        assert_eq!(jobs, Some("SubmitBody"));
        let shape = BOOK.shapes.iter().find(|shape| shape.name == "SubmitBody");
        assert!(shape.is_some_and(|shape| shape.fields.iter().any(|one| one.name == "cpus")));
    }
}
