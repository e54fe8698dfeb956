//! The one table of resources: which address, of what schema, by which methods, for whom, served by whom. `$metadata`, `Allow`,
//! 404 and 405, the privilege registry and the checks of rights all come from it. A new resource is a file and a line here.

use std::fmt;

use axum::http::Method;
use futures::future::BoxFuture;
use serde_json::Value;

use crate::config::Role;

use super::answer::Answer;
use super::call::Call;
use super::resource::*;
use super::stream;
use super::uri;
use super::wrong::Wrong;

/// What somebody needs to use a method (DSP0266 §13.7), grants aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Open to everybody.
    Nothing,
    Login,
    ConfigureSelf,
    ConfigureComponents,
    ConfigureManager,
    ConfigureUsers,
}

impl Need {
    /// As `Role.AssignedPrivileges` spells it.
    pub(super) fn privilege(self) -> &'static str {
        match self {
            Self::Nothing => "NoAuth",
            Self::Login => "Login",
            Self::ConfigureSelf => "ConfigureSelf",
            Self::ConfigureComponents => "ConfigureComponents",
            Self::ConfigureManager => "ConfigureManager",
            Self::ConfigureUsers => "ConfigureUsers",
        }
    }
}

/// The privileges of a role.
pub(super) fn privileges(role: Role) -> &'static [Need] {
    match role {
        Role::ReadOnly => &[Need::Login, Need::ConfigureSelf],
        Role::Operator => &[Need::Login, Need::ConfigureSelf, Need::ConfigureComponents],
        Role::Administrator => &[
            Need::Login,
            Need::ConfigureManager,
            Need::ConfigureUsers,
            Need::ConfigureComponents,
            Need::ConfigureSelf,
        ],
    }
}

/// What serves a method.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    /// From the state alone.
    Show(fn(&Call) -> Result<Value, Wrong>),
    /// Asks somebody.
    Ask(for<'a> fn(&'a Call) -> BoxFuture<'a, Result<Answer, Wrong>>),
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

/// One method of a resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verb {
    pub(super) method: &'static str,
    pub(super) need: Need,
    pub(super) handler: Handler,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resource {
    /// Below [`uri::ROOT`]; a segment in braces stands for any one.
    pub(super) pattern: &'static str,
    /// The type, as in `Session.v1_8_0.Session`; empty for what is no resource: actions, documents.
    pub(super) kind: &'static str,
    pub(super) verbs: &'static [Verb],
}

const fn verb(method: &'static str, need: Need, handler: Handler) -> Verb {
    Verb {
        method,
        need,
        handler,
    }
}

/// A GET that the state answers.
macro_rules! show {
    ($need:ident, $handler:path) => {
        verb("GET", Need::$need, Handler::Show($handler))
    };
}

/// Any method whose handler asks somebody.
macro_rules! ask {
    ($method:literal, $need:ident, $handler:path) => {
        verb(
            $method,
            Need::$need,
            Handler::Ask(|call| Box::pin($handler(call))),
        )
    };
}

macro_rules! resource {
    ($pattern:literal, $kind:literal, $($verb:expr),+) => {
        Resource { pattern: $pattern, kind: $kind, verbs: &[$($verb),+] }
    };
}

/// Every resource.
#[rustfmt::skip]
pub(super) const TABLE: &[Resource] = &[
    resource!("", "ServiceRoot.v1_21_0.ServiceRoot", show!(Nothing, service_root::show)),
    resource!("/$metadata", "", ask!("GET", Nothing, metadata::metadata)),
    resource!("/odata", "", show!(Nothing, metadata::odata)),

    resource!("/SessionService", "SessionService.v1_2_0.SessionService", show!(Login, session::service)),
    resource!("/SessionService/Sessions", "SessionCollection.SessionCollection",
        show!(Login, session::list), ask!("POST", Nothing, session::begin)),
    resource!("/SessionService/Sessions/{session}", "Session.v1_8_0.Session",
        show!(Login, session::show), ask!("DELETE", ConfigureSelf, session::end)),

    resource!("/AccountService", "AccountService.v1_18_1.AccountService", show!(Login, account::service)),
    resource!("/AccountService/Accounts", "ManagerAccountCollection.ManagerAccountCollection",
        show!(Login, account::list), ask!("POST", ConfigureUsers, account::create)),
    resource!("/AccountService/Accounts/{account}", "ManagerAccount.v1_14_1.ManagerAccount",
        ask!("GET", ConfigureSelf, account::show), ask!("PATCH", ConfigureSelf, account::change),
        ask!("DELETE", ConfigureUsers, account::remove)),
    resource!("/AccountService/Accounts/{account}/Actions/ManagerAccount.ChangePassword", "", ask!("POST", ConfigureSelf, account::change_password)),
    resource!("/AccountService/Roles", "RoleCollection.RoleCollection", show!(Login, role::list)),
    resource!("/AccountService/Roles/{role}", "Role.v1_3_3.Role", show!(Login, role::show)),
    resource!("/AccountService/PrivilegeMap", "PrivilegeRegistry.v1_2_0.PrivilegeRegistry", show!(Login, privilege::show)),

    resource!("/Managers", "ManagerCollection.ManagerCollection", show!(Login, manager::list)),
    resource!("/Managers/{manager}", "Manager.v1_25_0.Manager", show!(Login, manager::show)),
    resource!("/Managers/{manager}/NetworkProtocol", "ManagerNetworkProtocol.v1_13_0.ManagerNetworkProtocol", show!(Login, network::protocol)),
    resource!("/Managers/{manager}/EthernetInterfaces", "EthernetInterfaceCollection.EthernetInterfaceCollection", show!(Login, network::list)),
    resource!("/Managers/{manager}/EthernetInterfaces/{link}", "EthernetInterface.v1_12_5.EthernetInterface", show!(Login, network::show)),
    resource!("/Managers/{manager}/SerialInterfaces", "SerialInterfaceCollection.SerialInterfaceCollection", show!(Login, serial::list)),
    resource!("/Managers/{manager}/SerialInterfaces/{console}", "SerialInterface.v1_3_0.SerialInterface", show!(Login, serial::show)),
    resource!("/Managers/{manager}/LogServices", "LogServiceCollection.LogServiceCollection", show!(Login, journal::services)),
    resource!("/Managers/{manager}/LogServices/Journal", "LogService.v1_9_0.LogService", show!(Login, journal::service)),
    resource!("/Managers/{manager}/LogServices/Journal/Entries", "LogEntryCollection.LogEntryCollection", ask!("GET", Login, journal::list)),
    resource!("/Managers/{manager}/LogServices/Journal/Entries/{entry}", "LogEntry.v1_21_0.LogEntry", ask!("GET", Login, journal::show)),

    resource!("/Systems", "ComputerSystemCollection.ComputerSystemCollection", show!(Login, system::list)),
    resource!("/Systems/{machine}", "ComputerSystem.v1_28_0.ComputerSystem",
        ask!("GET", Login, system::show), ask!("PATCH", ConfigureComponents, system::change)),
    resource!("/Systems/{machine}/Actions/ComputerSystem.Reset", "", ask!("POST", ConfigureComponents, system::reset)),

    resource!("/Systems/{machine}/SerialConsole", "", ask!("GET", Login, console::open)),

    resource!("/Systems/{machine}/LogServices", "LogServiceCollection.LogServiceCollection", show!(Login, machine_log::services)),
    resource!("/Systems/{machine}/LogServices/Log", "LogService.v1_9_0.LogService", show!(Login, machine_log::service)),
    resource!("/Systems/{machine}/LogServices/Log/Entries", "LogEntryCollection.LogEntryCollection", ask!("GET", Login, machine_log::list)),
    resource!("/Systems/{machine}/LogServices/Log/Entries/{entry}", "LogEntry.v1_21_0.LogEntry", ask!("GET", Login, machine_log::show)),
    resource!("/Systems/{machine}/LogServices/Log/Actions/LogService.ClearLog", "", ask!("POST", ConfigureManager, machine_log::clear)),
    resource!("/Systems/{machine}/VirtualMedia", "VirtualMediaCollection.VirtualMediaCollection", ask!("GET", Login, media::list)),
    resource!("/Systems/{machine}/VirtualMedia/{drive}", "VirtualMedia.v1_6_5.VirtualMedia", ask!("GET", Login, media::show)),
    resource!("/Systems/{machine}/VirtualMedia/{drive}/Actions/VirtualMedia.InsertMedia", "", ask!("POST", ConfigureComponents, media::insert)),
    resource!("/Systems/{machine}/VirtualMedia/{drive}/Actions/VirtualMedia.EjectMedia", "", ask!("POST", ConfigureComponents, media::eject)),
    resource!("/Systems/{machine}/Bios", "Bios.v1_3_0.Bios", ask!("GET", Login, bios::show)),
    resource!("/Systems/{machine}/Bios/Settings", "Bios.v1_3_0.Bios",
        ask!("GET", Login, bios::pending), ask!("PATCH", ConfigureManager, bios::stage)),

    resource!("/Chassis", "ChassisCollection.ChassisCollection", show!(Login, chassis::list)),
    resource!("/Chassis/{chassis}", "Chassis.v1_28_0.Chassis", show!(Login, chassis::show)),
    resource!("/Chassis/{chassis}/Sensors", "SensorCollection.SensorCollection", show!(Login, sensor::list)),
    resource!("/Chassis/{chassis}/Sensors/{sensor}", "Sensor.v1_13_0.Sensor", show!(Login, sensor::show)),
    resource!("/Chassis/{chassis}/ThermalSubsystem", "ThermalSubsystem.v1_5_0.ThermalSubsystem", show!(Login, thermal::subsystem)),
    resource!("/Chassis/{chassis}/ThermalSubsystem/ThermalMetrics", "ThermalMetrics.v1_3_3.ThermalMetrics", show!(Login, thermal::metrics)),
    resource!("/Chassis/{chassis}/ThermalSubsystem/Fans", "FanCollection.FanCollection", show!(Login, thermal::fans)),
    resource!("/Chassis/{chassis}/ThermalSubsystem/Fans/{fan}", "Fan.v1_6_0.Fan", show!(Login, thermal::fan)),
    resource!("/Chassis/{chassis}/EnvironmentMetrics", "EnvironmentMetrics.v1_6_0.EnvironmentMetrics", show!(Login, consumption::environment)),
    resource!("/Chassis/{chassis}/Thermal", "Thermal.v1_7_3.Thermal", show!(Login, thermal::legacy)),
    resource!("/Chassis/{chassis}/Power", "Power.v1_7_3.Power", show!(Login, consumption::legacy)),
    resource!("/Chassis/{chassis}/PowerSubsystem", "PowerSubsystem.v1_1_4.PowerSubsystem", show!(Login, battery::subsystem)),
    resource!("/Chassis/{chassis}/PowerSubsystem/Batteries", "BatteryCollection.BatteryCollection", show!(Login, battery::list)),
    resource!("/Chassis/{chassis}/PowerSubsystem/Batteries/{battery}", "Battery.v1_5_0.Battery", show!(Login, battery::show)),
    resource!("/Chassis/{chassis}/PowerSubsystem/Batteries/{battery}/Metrics", "BatteryMetrics.v1_1_0.BatteryMetrics", show!(Login, battery::metrics)),

    resource!("/EventService", "EventService.v1_12_0.EventService", show!(Login, event_service::service)),
    resource!("/EventService/SSE", "", ask!("GET", Login, stream::open)),
    resource!("/EventService/Actions/EventService.SubmitTestEvent", "", ask!("POST", ConfigureComponents, event_service::test)),
    resource!("/EventService/Subscriptions", "EventDestinationCollection.EventDestinationCollection",
        show!(Login, event_service::list), ask!("POST", ConfigureComponents, event_service::subscribe)),
    resource!("/EventService/Subscriptions/{subscription}", "EventDestination.v1_17_0.EventDestination",
        show!(Login, event_service::show), ask!("PATCH", ConfigureSelf, event_service::change),
        ask!("DELETE", ConfigureSelf, event_service::unsubscribe)),

    resource!("/UpdateService", "UpdateService.v1_17_1.UpdateService", show!(Login, update::service)),
    resource!("/UpdateService/FirmwareInventory", "SoftwareInventoryCollection.SoftwareInventoryCollection", show!(Login, update::list)),
    resource!("/UpdateService/FirmwareInventory/{software}", "SoftwareInventory.v1_14_0.SoftwareInventory", show!(Login, update::show)),

    resource!("/TaskService", "TaskService.v1_3_0.TaskService", show!(Login, task_service::show)),
    resource!("/TaskService/Tasks", "TaskCollection.TaskCollection", show!(Login, task::list)),
    resource!("/TaskService/Tasks/{task}", "Task.v1_7_4.Task",
        show!(Login, task::show), ask!("DELETE", ConfigureSelf, task::forget)),
    resource!("/TaskService/TaskMonitors/{task}", "", ask!("GET", Login, task_monitor::show)),

    resource!("/Registries", "MessageRegistryFileCollection.MessageRegistryFileCollection", show!(Login, registry::list)),
    resource!("/Registries/{registry}", "MessageRegistryFile.v1_1_5.MessageRegistryFile", show!(Login, registry::show)),
    resource!("/Registries/Oobd/Messages", "MessageRegistry.v1_8_0.MessageRegistry", show!(Login, registry::messages)),
    resource!("/JsonSchemas", "JsonSchemaFileCollection.JsonSchemaFileCollection", show!(Login, registry::schemas_list)),
    resource!("/JsonSchemas/{schema}", "JsonSchemaFile.v1_1_5.JsonSchemaFile", show!(Login, registry::schema)),

    resource!("/PowerEquipment", "PowerEquipment.v1_2_3.PowerEquipment", show!(Login, pdu::equipment)),
    resource!("/PowerEquipment/RackPDUs", "PowerDistributionCollection.PowerDistributionCollection", show!(Login, pdu::list)),
    resource!("/PowerEquipment/RackPDUs/{pdu}", "PowerDistribution.v1_6_0.PowerDistribution", show!(Login, pdu::show)),
    resource!("/PowerEquipment/RackPDUs/{pdu}/Outlets", "OutletCollection.OutletCollection", show!(Login, outlet::list)),
    resource!("/PowerEquipment/RackPDUs/{pdu}/Outlets/{outlet}", "Outlet.v1_5_0.Outlet", show!(Login, outlet::show)),
    resource!("/PowerEquipment/RackPDUs/{pdu}/Outlets/{outlet}/Actions/Outlet.PowerControl", "", ask!("POST", ConfigureComponents, outlet::control)),
    resource!("/PowerEquipment/PowerShelves", "PowerDistributionCollection.PowerDistributionCollection", show!(Login, ups::list)),
    resource!("/PowerEquipment/PowerShelves/{ups}", "PowerDistribution.v1_6_0.PowerDistribution", show!(Login, ups::show)),
];

impl Resource {
    /// The names in the braces, if this path is one of the pattern.
    fn fits(&self, segments: &[String]) -> Option<Vec<String>> {
        let mut ids = Vec::new();
        let mut wanted = self.pattern.split('/').skip(1);
        for segment in segments {
            let one = wanted.next()?;
            if one.starts_with('{') {
                ids.push(segment.clone());
            } else if one != segment {
                return None;
            }
        }
        wanted.next().is_none().then_some(ids)
    }

    /// What serves this method; HEAD is a GET whose body stays here.
    pub(super) fn verb(&self, method: &Method) -> Option<&'static Verb> {
        let wanted = if method == Method::HEAD {
            "GET"
        } else {
            method.as_str()
        };
        self.verbs.iter().find(|verb| verb.method == wanted)
    }

    /// The header `Allow`.
    pub(super) fn allow(&self) -> String {
        let mut methods: Vec<&str> = Vec::new();
        for verb in self.verbs {
            methods.push(verb.method);
            if verb.method == "GET" {
                methods.push("HEAD");
            }
        }
        methods.join(", ")
    }

    /// Is it a list of members?
    pub(super) fn is_collection(&self) -> bool {
        self.kind.ends_with("Collection")
    }

    /// The schema's document, as in `Session.v1_8_0`.
    pub(super) fn schema(&self) -> &'static str {
        self.kind.rsplit_once('.').map_or("", |(schema, _)| schema)
    }
}

/// The resource of this path below [`uri::ROOT`], and the names in it. A collection is also there as `…/Members`, as the
/// specification wants it for POST.
pub(super) fn find(below: &str) -> Option<(&'static Resource, Vec<String>)> {
    let segments: Option<Vec<String>> = below.split('/').skip(1).map(uri::unescape).collect();
    let mut segments = segments?;
    if segments.last().is_some_and(String::is_empty) {
        segments.pop();
    }
    let look = |segments: &[String]| {
        TABLE
            .iter()
            .find_map(|one| one.fits(segments).map(|ids| (one, ids)))
    };
    // A fixed name comes before a pattern, for the table has it first.
    if let Some((last, rest)) = segments.split_last()
        && last == "Members"
        && let Some((collection, ids)) = look(rest)
        && collection.is_collection()
    {
        return Some((collection, ids));
    }
    look(&segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_line() {
        for (path, pattern, ids) in [
            ("", "", vec![]),
            ("/", "", vec![]),
            ("/Systems/db1", "/Systems/{machine}", vec!["db1"]),
            ("/Systems/db1/", "/Systems/{machine}", vec!["db1"]),
            ("/Systems/Members", "/Systems", vec![]),
            (
                "/PowerEquipment/RackPDUs/a/Outlets/x%2Fy",
                "/PowerEquipment/RackPDUs/{pdu}/Outlets/{outlet}",
                vec!["a", "x/y"],
            ),
        ] {
            let (found, got) = find(path).unwrap();
            assert_eq!(
                (found.pattern, got),
                (pattern, ids.iter().map(ToString::to_string).collect())
            );
        }
        for path in [
            "/Nothing",
            "/Systems/db1/Nothing",
            "/Systems//x",
            "/Systems/%zz",
        ] {
            assert!(find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn lines_are_whole() {
        for one in TABLE {
            assert!(
                one.kind.is_empty() || one.kind.split('.').count() >= 2,
                "{}",
                one.pattern
            );
            let again = TABLE.iter().filter(|other| other.pattern == one.pattern);
            assert_eq!(again.count(), 1, "{}", one.pattern);
            let opens = one.verbs.iter().filter(|verb| verb.need == Need::Nothing);
            let open =
                ["", "/$metadata", "/odata", "/SessionService/Sessions"].contains(&one.pattern);
            assert_eq!(opens.count(), usize::from(open), "{}", one.pattern);
        }
        let (account, _) = find("/AccountService/Accounts/x").unwrap();
        assert_eq!(account.allow(), "GET, HEAD, PATCH, DELETE");
        assert_eq!(account.schema(), "ManagerAccount.v1_14_1");
        assert!(find("/Systems").unwrap().0.is_collection());
    }

    #[test]
    fn roles_are_steps() {
        let has = |role, need| privileges(role).contains(&need);
        assert!(!has(Role::ReadOnly, Need::ConfigureComponents));
        assert!(has(Role::Operator, Need::ConfigureComponents));
        assert!(!has(Role::Operator, Need::ConfigureManager));
        assert!(has(Role::Administrator, Need::ConfigureUsers));
    }
}
