//! A small XML reader for replies of hostile devices: elements by (namespace, local name), text decoded. Every size has a
//! limit; no document type, so no entities but the five of XML and numbers. Reads no mixed content: the text of an element
//! is what stands between its children, put together.

use std::collections::BTreeMap;

/// How deep elements may stand in each other; replies use ten.
const DEPTH: usize = 32;
/// How many elements and attributes one document may have.
const MOST: usize = 100_000;
/// Longest name, prefix included.
const NAME: usize = 256;
/// Bytes of one entity between `&` and `;`.
const ENTITY: usize = 10;

/// Why a text is no document that we read. The place is in bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no XML at byte {at}: {why}")]
pub struct BadXml {
    pub at: usize,
    pub why: &'static str,
}

/// An element, with what stands in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Empty when it has none.
    pub namespace: String,
    /// Without its prefix.
    pub name: String,
    /// Without their prefixes; declarations of namespaces are left out.
    pub attributes: Vec<(String, String)>,
    /// Its own text, without the white space around it.
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// The first child of this name.
    #[must_use]
    pub fn child(&self, namespace: &str, name: &str) -> Option<&Self> {
        let mut children = self.children.iter();
        children.find(|child| child.name == name && child.namespace == namespace)
    }

    /// Down along a path of children in one namespace.
    #[must_use]
    pub fn at(&self, namespace: &str, path: &[&str]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |element, name| element.child(namespace, name))
    }

    /// All children of this name in the element's own namespace: a property of an instance is one.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        let children = self.children.iter();
        children.filter(move |child| child.name == name && child.namespace == self.namespace)
    }

    /// The text of a property; `None` when the instance has none of this name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.child(&self.namespace, name)
            .map(|child| child.text.as_str())
    }

    /// A property that is a whole number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// A property that is true or false.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.text(name)? {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Reads a document and gives its root.
///
/// # Errors
/// [`BadXml`]: it is no XML, or more than we read.
pub fn parse(text: &str) -> Result<Element, BadXml> {
    let mut reader = Reader {
        text: text.strip_prefix('\u{feff}').unwrap_or(text),
        at: 0,
        count: 0,
        scopes: Vec::new(),
        open: Vec::new(),
    };
    reader.document()
}

/// An element that is not closed yet, with its name as it stands there.
struct Open {
    spelled: String,
    element: Element,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    count: usize,
    /// What each open element declares: prefix to namespace.
    scopes: Vec<BTreeMap<String, String>>,
    open: Vec<Open>,
}

impl<'a> Reader<'a> {
    fn bad<T>(&self, why: &'static str) -> Result<T, BadXml> {
        Err(BadXml { at: self.at, why })
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Everything up to `token`, which is passed over.
    fn until(&mut self, token: &str) -> Result<&'a str, BadXml> {
        let rest = self.rest();
        let Some(end) = rest.find(token) else {
            return self.bad("it ends too early");
        };
        self.at += end + token.len();
        Ok(rest.get(..end).unwrap_or_default())
    }

    fn blank(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn count(&mut self) -> Result<(), BadXml> {
        self.count += 1;
        if self.count > MOST {
            return self.bad("too many elements");
        }
        Ok(())
    }

    fn document(&mut self) -> Result<Element, BadXml> {
        loop {
            if self.rest().is_empty() {
                return self.bad("it ends too early");
            }
            if self.eat("<!--") {
                self.until("-->")?;
            } else if self.eat("<![CDATA[") {
                let text = self.until("]]>")?;
                self.add(text)?;
            } else if self.eat("<?") {
                self.until("?>")?;
            } else if self.rest().starts_with("<!") {
                return self.bad("a document type");
            } else if self.eat("</") {
                if let Some(root) = self.close()? {
                    return Ok(root);
                }
            } else if self.eat("<") {
                if let Some(root) = self.begin()? {
                    return Ok(root);
                }
            } else {
                let rest = self.rest();
                let end = rest.find('<').unwrap_or(rest.len());
                let text = self.decoded(rest.get(..end).unwrap_or_default())?;
                self.at += end;
                self.add(&text)?;
            }
        }
    }

    fn add(&mut self, text: &str) -> Result<(), BadXml> {
        match self.open.last_mut() {
            Some(open) => open.element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return self.bad("text outside of all elements"),
        }
        Ok(())
    }

    /// After `<`. Gives the root when it is empty.
    fn begin(&mut self) -> Result<Option<Element>, BadXml> {
        self.count()?;
        if self.open.len() == DEPTH {
            return self.bad("too deep");
        }
        let spelled = self.name()?.to_owned();
        let (mut scope, mut attributes) = (BTreeMap::new(), Vec::new());
        let is_empty = loop {
            self.blank();
            if self.eat("/>") {
                break true;
            }
            if self.eat(">") {
                break false;
            }
            self.count()?;
            let name = self.name()?;
            self.blank();
            if !self.eat("=") {
                return self.bad("an attribute without a value");
            }
            self.blank();
            let quote = match self.rest().get(..1) {
                Some(quote @ ("\"" | "'")) => quote,
                _ => return self.bad("a value without quotes"),
            };
            self.at += 1;
            let value = self.until(quote)?;
            let value = self.decoded(value)?;
            match name.split_once(':') {
                None if name == "xmlns" => drop(scope.insert(String::new(), value)),
                Some(("xmlns", prefix)) => drop(scope.insert(prefix.to_owned(), value)),
                Some((_, name)) => attributes.push((name.to_owned(), value)),
                None => attributes.push((name.to_owned(), value)),
            }
        };
        self.scopes.push(scope);
        let (prefix, name) = spelled.split_once(':').unwrap_or(("", &spelled));
        let known = self.scopes.iter().rev().find_map(|scope| scope.get(prefix));
        let namespace = match known {
            Some(namespace) => namespace.clone(),
            None if prefix.is_empty() => String::new(),
            None => return self.bad("a prefix that stands for nothing"),
        };
        let element = Element {
            namespace,
            name: name.to_owned(),
            attributes,
            ..Element::default()
        };
        self.open.push(Open { spelled, element });
        if is_empty {
            return Ok(self.end());
        }
        Ok(None)
    }

    /// After `</`. Gives the root when it is closed.
    fn close(&mut self) -> Result<Option<Element>, BadXml> {
        let name = self.until(">")?.trim_end();
        if self.open.last().is_none_or(|open| open.spelled != name) {
            return self.bad("an end that nothing began");
        }
        Ok(self.end())
    }

    fn end(&mut self) -> Option<Element> {
        self.scopes.pop();
        let mut element = self.open.pop()?.element;
        let text = element.text.trim();
        if text.len() != element.text.len() {
            element.text = text.to_owned();
        }
        match self.open.last_mut() {
            Some(parent) => parent.element.children.push(element),
            None => return Some(element),
        }
        None
    }

    fn name(&mut self) -> Result<&'a str, BadXml> {
        let rest = self.rest();
        let stops = |c: char| c.is_whitespace() || "=/><\"'&".contains(c);
        let end = rest.find(stops).unwrap_or(rest.len());
        if end == 0 || end > NAME {
            return self.bad("no name");
        }
        self.at += end;
        Ok(rest.get(..end).unwrap_or_default())
    }

    fn decoded(&self, text: &str) -> Result<String, BadXml> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('&') {
            out.push_str(before);
            let Some((entity, after)) = after.split_once(';').filter(|(e, _)| e.len() <= ENTITY)
            else {
                return self.bad("an entity without an end");
            };
            let letter = match entity {
                "lt" => Some('<'),
                "gt" => Some('>'),
                "amp" => Some('&'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                _ => numbered(entity),
            };
            match letter {
                Some(letter) => out.push(letter),
                None => return self.bad("an entity that nobody knows"),
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// `#233` or `#xe9`.
fn numbered(entity: &str) -> Option<char> {
    let number = entity.strip_prefix('#')?;
    let number = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(number)
}

/// Text as it may stand between two tags or in quotes. What XML cannot hold is left out.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(letter),
            _ if letter.is_control() => {}
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> &'static str {
        parse(text).unwrap_err().why
    }

    #[test]
    fn names_are_matched_by_namespace_and_never_by_prefix() {
        let text = "<?xml version='1.0'?><!-- x --><a:R xmlns:a=\"urn:a\" xmlns=\"urn:d\">\n <N>1</N><b:N xmlns:b='urn:a' \
            b:k=\"v &lt;\">t&#233;&#xE9; <![CDATA[<&]]></b:N><a:N/><x xmlns=''/></a:R> ";
        let root = parse(text).unwrap();
        assert_eq!((&*root.namespace, &*root.name), ("urn:a", "R"));
        assert_eq!(root.child("urn:d", "N").unwrap().text, "1");
        assert_eq!(root.text("N"), Some("té\u{e9} <&"));
        assert_eq!(root.all("N").count(), 2);
        assert_eq!(root.all("N").next().unwrap().attribute("k"), Some("v <"));
        assert!(root.child("", "x").is_some());
        assert!(root.at("urn:a", &["N"]).is_some() && root.at("urn:a", &["N", "N"]).is_none());
    }

    #[test]
    fn properties_have_types() {
        let root = parse("<r><n>18446744073709551615</n><f>true</f><z>0</z></r>").unwrap();
        assert_eq!(root.number("n"), Some(u64::MAX));
        assert_eq!((root.flag("f"), root.flag("z")), (Some(true), Some(false)));
        assert_eq!(
            (root.flag("n"), root.number("f"), root.text("q")),
            (None, None, None)
        );
    }

    #[test]
    fn what_is_no_xml_is_refused() {
        for (text, expected) in [
            ("", "it ends too early"),
            ("<a>", "it ends too early"),
            ("<a", "an attribute without a value"),
            ("<a></b>", "an end that nothing began"),
            ("</a>", "an end that nothing began"),
            ("<a b></a>", "an attribute without a value"),
            ("<a b=c></a>", "a value without quotes"),
            ("<p:a/>", "a prefix that stands for nothing"),
            ("<a>&nbsp;</a>", "an entity that nobody knows"),
            ("<a>&#xD800;</a>", "an entity that nobody knows"),
            ("<a>&amp</a>", "an entity without an end"),
            ("x<a/>", "text outside of all elements"),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "a document type"),
            ("<>", "no name"),
        ] {
            assert!(parse(text).is_err(), "{text}");
            if text != "<a" {
                assert_eq!(why(text), expected, "{text}");
            }
        }
        let deep = "<a>".repeat(DEPTH + 1);
        assert_eq!(why(&deep), "too deep");
        let wide = format!("<a>{}</a>", "<b/>".repeat(MOST));
        assert_eq!(why(&wide), "too many elements");
        assert_eq!(why(&format!("<{}/>", "a".repeat(NAME + 1))), "no name");
    }

    #[test]
    fn no_text_makes_it_panic_and_what_is_escaped_comes_back() {
        proptest::proptest!(|(text in "(<|>|/|a|b:|xmlns|=|\"|&|;|#|é| |!|--|\\?|\\[CDATA\\[){0,60}")| {
            let _ = parse(&text);
        });
        proptest::proptest!(|(text in "[ -~é\u{1f600}]{0,40}")| {
            let root = parse(&format!("<a k=\"{0}\">{0}</a>", escaped(&text))).unwrap();
            proptest::prop_assert_eq!(root.attribute("k"), Some(text.as_str()));
            proptest::prop_assert_eq!(root.text, text.trim());
        });
    }
}
