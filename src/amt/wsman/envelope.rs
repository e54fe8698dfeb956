//! Envelopes: what is asked written down, what is answered taken apart. Pure.
//!
//! Shapes of device-management-toolkit/go-wsman-messages `internal/message/wsman.go`.

use std::fmt::Write as _;

use super::xml::{Element, escaped};

pub const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
pub const ADDRESSING: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
pub const WSMAN: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd";
pub const ENUMERATION: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";
pub const TRANSFER: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer";
const ANONYMOUS: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous";

/// The resource URI of a class; of a name with another beginning, a class of AMT itself.
#[must_use]
pub fn uri(class: &str) -> String {
    let schema = match class.split('_').next() {
        Some("CIM") => "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/",
        Some("IPS") => "http://intel.com/wbem/wscim/1/ips-schema/1/",
        _ => "http://intel.com/wbem/wscim/1/amt-schema/1/",
    };
    format!("{schema}{class}")
}

/// Keys of one instance.
pub type Selectors<'a> = &'a [(&'a str, &'a str)];

/// A request. `body` is XML.
#[must_use]
pub fn request(action: &str, uri: &str, id: u64, selectors: Selectors<'_>, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Envelope xmlns=\"{SOAP}\" xmlns:a=\"{ADDRESSING}\" xmlns:w=\"{WSMAN}\">\
         <Header><a:Action>{action}</a:Action><a:To>/wsman</a:To><w:ResourceURI>{uri}</w:ResourceURI>\
         <a:MessageID>{id}</a:MessageID><a:ReplyTo><a:Address>{ANONYMOUS}</a:Address></a:ReplyTo>\
         <w:OperationTimeout>PT60S</w:OperationTimeout>{}</Header><Body>{body}</Body></Envelope>",
        set(selectors)
    )
}

fn set(selectors: Selectors<'_>) -> String {
    if selectors.is_empty() {
        return String::new();
    }
    let mut out = String::from("<w:SelectorSet>");
    for (name, value) in selectors {
        let _ = write!(
            out,
            "<w:Selector Name=\"{}\">{}</w:Selector>",
            escaped(name),
            escaped(value)
        );
    }
    out + "</w:SelectorSet>"
}

/// A parameter that points to an instance.
#[must_use]
pub fn reference(parameter: &str, class: &str, selectors: Selectors<'_>) -> String {
    format!(
        "<h:{parameter}><a:Address>{ADDRESSING}</a:Address><a:ReferenceParameters><w:ResourceURI>{}</w:ResourceURI>{}\
         </a:ReferenceParameters></h:{parameter}>",
        uri(class),
        set(selectors)
    )
}

/// A parameter or a property with a plain value.
#[must_use]
pub fn plain(name: &str, value: &str) -> String {
    format!("<h:{name}>{}</h:{name}>", escaped(value))
}

/// The body of a method's call, or of an instance that is written. `inner` is XML with the prefix `h`.
#[must_use]
pub fn body(root: &str, uri: &str, inner: &str) -> String {
    format!("<h:{root} xmlns:h=\"{uri}\">{inner}</h:{root}>")
}

/// What an instance becomes when it is written back: its properties in their order, without those of `drop`, and with what
/// `set` says of those that it has. Nothing is added that it had not: old firmware refuses what it does not know.
#[must_use]
pub fn written(instance: &Element, set: &[(&str, &str)], drop: &[&str]) -> String {
    let mut out = String::new();
    for child in &instance.children {
        let name = child.name.as_str();
        if drop.contains(&name) || child.namespace != instance.namespace {
            continue;
        }
        let new = set.iter().find(|(key, _)| *key == name);
        // Pointers to other instances are the device's own and never change.
        if child.children.is_empty() {
            out += &plain(name, new.map_or(child.text.as_str(), |(_, value)| value));
        }
    }
    out
}

/// What a fault says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Without its prefix, e.g. `DestinationUnreachable`, `InvalidSelectors`, `AccessDenied`.
    pub code: String,
    pub reason: String,
}

/// The body of a reply: its first element, or the fault.
///
/// # Errors
/// The fault, if it is one; `None` when this is no envelope.
pub fn answer(root: Element) -> Result<Option<Element>, Option<Fault>> {
    if root.name != "Envelope" || root.namespace != SOAP {
        return Err(None);
    }
    let Some(body) = root
        .children
        .into_iter()
        .find(|child| child.name == "Body" && child.namespace == SOAP)
    else {
        return Err(None);
    };
    let first = body.children.into_iter().next();
    match first {
        Some(fault) if fault.name == "Fault" && fault.namespace == SOAP => Err(Some(read(&fault))),
        first => Ok(first),
    }
}

fn read(fault: &Element) -> Fault {
    let value = |path: &[&str]| fault.at(SOAP, path).map(|found| found.text.clone());
    let code = value(&["Code", "Subcode", "Value"]).or_else(|| value(&["Code", "Value"]));
    let code = code.unwrap_or_default();
    let bare = code.rsplit(':').next().unwrap_or_default();
    Fault {
        code: bare.to_owned(),
        reason: value(&["Reason", "Text"]).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::xml::parse;
    use super::*;

    #[test]
    fn requests_are_well_formed_and_keys_are_escaped() {
        let inner = reference(
            "Source",
            "CIM_BootSourceSetting",
            &[("InstanceID", "a<b>\"&")],
        ) + &plain("Role", "1");
        let uri = uri("CIM_BootService");
        let body = body("SetBootConfigRole_INPUT", &uri, &inner);
        let text = request("act", &uri, 7, &[("Name", "x")], &body);
        let root = parse(&text).unwrap();
        let header = root.child(SOAP, "Header").unwrap();
        assert_eq!(header.child(ADDRESSING, "MessageID").unwrap().text, "7");
        let selector = header.at(WSMAN, &["SelectorSet", "Selector"]).unwrap();
        assert_eq!(
            (selector.attribute("Name"), &*selector.text),
            (Some("Name"), "x")
        );
        let input = answer(root).unwrap().unwrap();
        assert_eq!((&*input.namespace, input.text("Role")), (&*uri, Some("1")));
        let pointed = input.all("Source").next().unwrap();
        let parameters = pointed.child(ADDRESSING, "ReferenceParameters").unwrap();
        let key = parameters.at(WSMAN, &["SelectorSet", "Selector"]).unwrap();
        assert_eq!(key.text, "a<b>\"&");
    }

    #[test]
    fn faults_are_read_with_any_prefix() {
        let text = format!(
            "<x:Envelope xmlns:x=\"{SOAP}\"><x:Body><x:Fault><x:Code><x:Value>x:Sender</x:Value><x:Subcode><x:Value>b:\
             DestinationUnreachable</x:Value></x:Subcode></x:Code><x:Reason><x:Text>No route</x:Text></x:Reason></x:Fault>\
             </x:Body></x:Envelope>"
        );
        let fault = answer(parse(&text).unwrap()).unwrap_err().unwrap();
        assert_eq!(fault.code, "DestinationUnreachable");
        assert_eq!(fault.reason, "No route");
        assert_eq!(answer(parse("<Envelope/>").unwrap()), Err(None));
        let empty = format!("<Envelope xmlns=\"{SOAP}\"><Body/></Envelope>");
        assert_eq!(answer(parse(&empty).unwrap()), Ok(None));
    }

    #[test]
    fn an_instance_is_written_back_in_order_and_gains_nothing() {
        let read = parse("<c xmlns='u'><A>1</A><B>x</B><B>y</B><C>9</C><D><E/></D></c>").unwrap();
        let text = written(&read, &[("A", "2"), ("Z", "3")], &["C"]);
        assert_eq!(text, "<h:A>2</h:A><h:B>x</h:B><h:B>y</h:B>");
    }
}
