//! The WS-Man half: reads envelopes, finds the class, answers with prefixes as firmware picks them. What a class holds is in
//! `classes.rs` and `boot.rs`.

use std::collections::HashMap;

use oobd::amt::wsman::envelope::{ADDRESSING, ENUMERATION, SOAP, TRANSFER, WSMAN, uri};
use oobd::amt::wsman::xml::{Element, escaped, parse};
use serde_json::json;

use crate::{Machine, Shared, boot, classes, http, lock, logs, tell};

/// How a request fails: status, subcode, and its prefix's namespace.
pub struct Fault(pub u16, pub &'static str, pub &'static str);

/// The class or the instance is not there.
pub const ABSENT: Fault = Fault(
    400,
    "DestinationUnreachable",
    "No route can be determined to reach the destination role.",
);
/// The body is not as the schema wants it.
pub const SCHEMA: Fault = Fault(
    400,
    "SchemaValidationError",
    "The SOAP body does not validate.",
);

/// Namespace of times.
const COMMON: &str = "http://schemas.dmtf.org/wbem/wscim/1/common";

/// A request, taken apart.
pub struct Call {
    pub class: String,
    pub selectors: HashMap<String, String>,
    /// The first element of the body.
    pub body: Option<Element>,
}

impl Call {
    pub fn selector(&self, name: &str) -> &str {
        self.selectors.get(name).map_or("", String::as_str)
    }

    /// A parameter of the method.
    pub fn text(&self, name: &str) -> &str {
        self.body
            .as_ref()
            .and_then(|body| body.text(name))
            .unwrap_or_default()
    }

    pub fn number(&self, name: &str) -> u32 {
        self.text(name).parse().unwrap_or_default()
    }

    /// The keys of an instance that a parameter points to; `None` when the parameter is not there.
    pub fn pointed(&self, name: &str) -> Option<HashMap<String, String>> {
        let parameter = self.body.as_ref()?.all(name).next()?;
        let set = parameter
            .child(ADDRESSING, "ReferenceParameters")?
            .child(WSMAN, "SelectorSet")?;
        Some(keys(set))
    }
}

/// Properties of an instance, in the order of the schema.
pub type Fields = Vec<(&'static str, String)>;

/// A list that is being pulled.
#[derive(Debug, Default)]
pub struct Lists(HashMap<String, Vec<String>>);

pub fn start(machine: &Shared) {
    http::start(machine, answer);
}

/// What the test orders; is it one of ours?
pub fn order(machine: &Shared, line: &str) -> bool {
    let words: Vec<&str> = line.splitn(2, ' ').collect();
    if http::order(machine, &words) {
        return true;
    }
    let words: Vec<&str> = line.split(' ').collect();
    let mut machine = lock(machine);
    match words.as_slice() {
        ["power", state] => machine.power = state.parse().unwrap(),
        // The method of this name returns this once, and does nothing.
        ["return", method, value] => {
            machine
                .returns
                .insert((*method).to_owned(), value.parse().unwrap());
        }
        // This firmware does not have the class.
        ["absent", class] => machine.absent.push((*class).to_owned()),
        ["state"] => {
            let boot = &machine.boot;
            tell(&json!({"state": {
                "power": machine.power, "setup": boot.get("BIOSSetup"), "order": boot.order, "role": boot.role,
                "redirection": machine.redirection, "listener": machine.listener, "kvm": machine.kvm,
                "consent": machine.consent.required, "opt_in": machine.consent.state, "puts": machine.puts,
            }}));
        }
        _ => return false,
    }
    true
}

fn answer(machine: &Shared, path: &str, text: &str) -> http::Answer {
    if path != "/wsman" {
        return crate::soap::answer(machine, path, text);
    }
    let Ok(root) = parse(text) else {
        return (400, fault("0", &SCHEMA));
    };
    let header = root.child(SOAP, "Header").cloned().unwrap_or_default();
    let of = |namespace: &str, name: &str| {
        header
            .child(namespace, name)
            .map(|found| found.text.clone())
            .unwrap_or_default()
    };
    let (action, resource) = (of(ADDRESSING, "Action"), of(WSMAN, "ResourceURI"));
    let id = of(ADDRESSING, "MessageID");
    let class = resource.rsplit('/').next().unwrap_or_default().to_owned();
    let selectors = header
        .child(WSMAN, "SelectorSet")
        .map(keys)
        .unwrap_or_default();
    let body = root
        .child(SOAP, "Body")
        .and_then(|body| body.children.first().cloned());
    let call = Call {
        class,
        selectors,
        body,
    };
    let method = action.rsplit('/').next().unwrap_or_default().to_owned();
    tell(&json!({ "call": format!("{}.{method}", call.class) }));
    let mut machine = lock(machine);
    machine.web.spring(&call.class, &method);
    let done = if resource != uri(&call.class) || machine.absent.contains(&call.class) {
        Err(ABSENT)
    } else if action == format!("{resource}/{method}") {
        invoke(&mut machine, &call, &method)
    } else {
        match action
            .strip_prefix(ENUMERATION)
            .or_else(|| action.strip_prefix(TRANSFER))
        {
            Some("/Get") => get(&machine, &call),
            Some("/Put") => put(&mut machine, &call),
            Some("/Delete") => logs::remove(&mut machine, &call).map(|()| String::new()),
            Some("/Enumerate") => enumerate(&mut machine, &call),
            Some("/Pull") => pull(&mut machine, &call),
            _ => Err(Fault(
                400,
                "ActionNotSupported",
                "The action is not supported.",
            )),
        }
    };
    match done {
        Ok(body) => (
            200,
            envelope(&id, &format!("{action}Response"), &resource, &body),
        ),
        Err(wrong) => (wrong.0, fault(&id, &wrong)),
    }
}

fn keys(set: &Element) -> HashMap<String, String> {
    let pair = |one: &Element| Some((one.attribute("Name")?.to_owned(), one.text.clone()));
    set.children.iter().filter_map(pair).collect()
}

/// An instance as XML. The prefix is `h` here and `g` in lists: nobody may count on it.
pub fn instance(class: &str, fields: &Fields, prefix: &str) -> String {
    let mut out = format!("<{prefix}:{class}>");
    for (name, value) in fields {
        // Times are elements of their own.
        if let Some(kind) = [("StartTime", "Datetime"), ("Interval", "Interval")]
            .into_iter()
            .find(|(key, _)| key == name)
        {
            let kind = kind.1;
            out += &format!(
                "<{prefix}:{name}><x:{kind} xmlns:x=\"{COMMON}\">{value}</x:{kind}></{prefix}:{name}>"
            );
            continue;
        }
        out += &format!("<{prefix}:{name}>{}</{prefix}:{name}>", escaped(value));
    }
    out + &format!("</{prefix}:{class}>")
}

fn get(machine: &Machine, call: &Call) -> Result<String, Fault> {
    let all = classes::instances(machine, &call.class).ok_or(ABSENT)?;
    let fits = |fields: &&Fields| {
        call.selectors
            .iter()
            .all(|(key, value)| fields.iter().any(|(name, had)| name == key && had == value))
    };
    let mut found = all.iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(instance(&call.class, one, "h")),
        _ => Err(Fault(
            400,
            "InvalidSelectors",
            "The Selectors for the resource were not valid.",
        )),
    }
}

fn put(machine: &mut Machine, call: &Call) -> Result<String, Fault> {
    let written = call.body.as_ref().ok_or(SCHEMA)?;
    if written.name != call.class || written.namespace != uri(&call.class) {
        return Err(SCHEMA);
    }
    machine.puts += 1;
    classes::write(machine, &call.class, written)?;
    get(machine, call)
}

fn enumerate(machine: &mut Machine, call: &Call) -> Result<String, Fault> {
    let all = classes::instances(machine, &call.class).ok_or(ABSENT)?;
    if machine.profile.get_only && call.class.starts_with("AMT_") {
        return Err(ABSENT);
    }
    // A list of associations holds instances of another class.
    let class = match call.class.as_str() {
        "CIM_ServiceAvailableToElement" => "CIM_AssociatedPowerManagementService",
        class => class,
    };
    let mut items: Vec<_> = all
        .iter()
        .map(|fields| instance(class, fields, "g"))
        .collect();
    items.reverse();
    let context = format!("{:08X}-0000", rand::random::<u32>());
    machine.lists.0.insert(context.clone(), items);
    Ok(format!(
        "<e:EnumerateResponse><e:EnumerationContext>{context}</e:EnumerationContext></e:EnumerateResponse>"
    ))
}

/// Two at a time, so that nobody gets away with one pull.
fn pull(machine: &mut Machine, call: &Call) -> Result<String, Fault> {
    let context = call
        .body
        .as_ref()
        .and_then(|body| body.child(ENUMERATION, "EnumerationContext"));
    let context = context.map(|found| found.text.clone()).unwrap_or_default();
    let wrong = Fault(
        400,
        "InvalidEnumerationContext",
        "The supplied enumeration context is invalid.",
    );
    let mut items = machine.lists.0.remove(&context).ok_or(wrong)?;
    let mut out = String::from("<e:PullResponse>");
    let some: String = [items.pop(), items.pop()].into_iter().flatten().collect();
    if items.is_empty() {
        return Ok(out
            + &format!(
                "<e:Items>{some}</e:Items><e:EndOfSequence></e:EndOfSequence></e:PullResponse>"
            ));
    }
    out += &format!(
        "<e:EnumerationContext>{context}</e:EnumerationContext><e:Items>{some}</e:Items></e:PullResponse>"
    );
    machine.lists.0.insert(context, items);
    Ok(out)
}

fn invoke(machine: &mut Machine, call: &Call, method: &str) -> Result<String, Fault> {
    if let Some(value) = machine.returns.remove(method) {
        return Ok(output(method, value, ""));
    }
    let body = call.body.as_ref().ok_or(SCHEMA)?;
    if body.name != format!("{method}_INPUT") || body.namespace != uri(&call.class) {
        return Err(SCHEMA);
    }
    for room in [boot::invoke, classes::invoke, logs::invoke] {
        if let Some(done) = room(machine, call, method) {
            return done;
        }
    }
    Err(Fault(
        400,
        "ActionNotSupported",
        "The action is not supported.",
    ))
}

/// The output of a method. `more` is XML with the prefix `g`.
pub fn output(method: &str, value: u32, more: &str) -> String {
    format!("<g:{method}_OUTPUT>{more}<g:ReturnValue>{value}</g:ReturnValue></g:{method}_OUTPUT>")
}

fn envelope(id: &str, action: &str, resource: &str, body: &str) -> String {
    let lists = match body.contains("<g:CIM_AssociatedPowerManagementService>") {
        true => uri("CIM_AssociatedPowerManagementService"),
        false => resource.to_owned(),
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a:Envelope xmlns:a=\"{SOAP}\" xmlns:b=\"{ADDRESSING}\" xmlns:c=\"{WSMAN}\" \
         xmlns:e=\"{ENUMERATION}\" xmlns:g=\"{lists}\" xmlns:h=\"{resource}\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><a:Header><b:To>{ADDRESSING}/role/anonymous</b:To><b:RelatesTo>\
         {id}</b:RelatesTo><b:Action a:mustUnderstand=\"true\">{action}</b:Action><b:MessageID>uuid:00000000-8086-8086-8086-\
         {:012X}</b:MessageID><c:ResourceURI>{resource}</c:ResourceURI></a:Header><a:Body>{body}</a:Body></a:Envelope>",
        rand::random::<u32>()
    )
}

fn fault(id: &str, wrong: &Fault) -> String {
    let Fault(_, code, reason) = wrong;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a:Envelope xmlns:a=\"{SOAP}\" xmlns:b=\"{ADDRESSING}\" xmlns:c=\"{WSMAN}\">\
         <a:Header><b:To>{ADDRESSING}/role/anonymous</b:To><b:RelatesTo>{id}</b:RelatesTo><b:Action a:mustUnderstand=\"true\">\
         {ADDRESSING}/fault</b:Action><b:MessageID>uuid:00000000-8086-8086-8086-000000000000</b:MessageID></a:Header><a:Body>\
         <a:Fault><a:Code><a:Value>a:Sender</a:Value><a:Subcode><a:Value>b:{code}</a:Value></a:Subcode></a:Code><a:Reason>\
         <a:Text xml:lang=\"en-US\">{reason}</a:Text></a:Reason><a:Detail></a:Detail></a:Fault></a:Body></a:Envelope>"
    )
}
