//! *Purpose*: what a parser of browsers says of a page.
//!
//! *Owns*: [`page`], [`region`].
//!
//! *Promises*: whatever a browser would have to guess is a failure; end tags that HTML lets one
//! leave out are no guess.
//!
//! *Not here*: which pages (`web::tests`).

use std::collections::BTreeSet;

use html5ever::tendril::TendrilSink;
use html5ever::tokenizer::TokenizerOpts;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

/// What stands in a page.
#[derive(Default)]
pub struct Seen {
    /// All text, and the values of all attributes.
    pub text: String,
    /// Names of attributes.
    pub attributes: BTreeSet<String>,
    ids: Vec<String>,
}

impl Seen {
    fn look(&mut self, node: &Handle) {
        match &node.data {
            NodeData::Text { contents } => self.text.push_str(&contents.borrow()),
            NodeData::Element { attrs, .. } => {
                for one in attrs.borrow().iter() {
                    self.text.push_str(&one.value);
                    self.attributes.insert(one.name.local.to_string());
                    if &*one.name.local == "id" {
                        self.ids.push(one.value.to_string());
                    }
                }
            }
            NodeData::Comment { contents } => panic!("a comment: {contents}"),
            _ => {}
        }
        for child in node.children.borrow().iter() {
            self.look(child);
        }
    }
}

fn parsed(name: &str, html: &str) -> RcDom {
    let tokenizer = TokenizerOpts { exact_errors: true, ..Default::default() };
    let options = ParseOpts { tokenizer, ..Default::default() };
    let dom = parse_document(RcDom::default(), options).one(html);
    assert!(dom.errors.borrow().is_empty(), "{name}: {:?}\n{html}", dom.errors.borrow());
    dom
}

/// What stands in a document without errors and without two elements of one id.
#[track_caller]
pub fn page(name: &str, html: &str) -> Seen {
    let mut seen = Seen::default();
    seen.look(&parsed(name, html).document);
    let ids: BTreeSet<&String> = seen.ids.iter().collect();
    assert_eq!(ids.len(), seen.ids.len(), "{name}: an id stands twice: {:?}", seen.ids);
    seen
}

/// One that is patched in by itself is one element with its id.
#[track_caller]
pub fn region(name: &str, id: &str, html: &str) {
    let dom = parsed(name, &format!("<!doctype html><title>t</title><body>{html}"));
    let mut at = dom.document.clone();
    for element in ["html", "body"] {
        let is_it = |node: &&Handle| match &node.data {
            NodeData::Element { name, .. } => &*name.local == element,
            _ => false,
        };
        let next = at.children.borrow().iter().find(is_it).cloned().unwrap();
        at = next;
    }
    let roots: Vec<Handle> =
        at.children.borrow().iter().filter(|one| is_content(one)).cloned().collect();
    let [root] = &roots[..] else { panic!("{name}: {id} is {} nodes: {html}", roots.len()) };
    let mut own = Seen::default();
    own.look(root);
    assert_eq!(own.ids.first().map(String::as_str), Some(id), "{name}: {html}");
}

/// Anything but blanks between elements.
fn is_content(node: &Handle) -> bool {
    match &node.data {
        NodeData::Text { contents } => !contents.borrow().trim().is_empty(),
        _ => true,
    }
}
