//! The names of properties that `$select`, `$filter` and `$orderby` may use, type by type.
//!
//! planner-api.md 1 and 1.15. All names of the real types, also of properties that the emulator does
//! not have: a client that asks for them is right, and gets nothing.

use crate::emulator::body::schema;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::object::ObjectKind;

/// A type whose properties are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// An entity of Planner, in the beta if the flag is set.
    Planner(ObjectKind, bool),
    User,
    Group,
    /// A user or a group.
    DirectoryObject,
}

impl Type {
    /// Returns the name of the type as messages state it.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Planner(kind, _) => format!("microsoft.graph.planner{}", kind.token()),
            Self::User => "microsoft.graph.user".to_owned(),
            Self::Group => "microsoft.graph.group".to_owned(),
            Self::DirectoryObject => "microsoft.graph.directoryObject".to_owned(),
        }
    }

    /// Returns whether the type has a property of this name; names are compared without case.
    pub(crate) fn has(self, name: &str) -> bool {
        // `onPremisesExtensionAttributes/extensionAttribute1` is a part of the property before it.
        let name = name.split('/').next().unwrap_or_default();
        let is_in = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        let is_extension = name.starts_with("extension_");
        match self {
            Self::Planner(kind, beta) => {
                let mut own = schema::properties(kind).iter().map(|property| property.name);
                own.any(|known| known.eq_ignore_ascii_case(name))
                    || is_in(navigations(kind))
                    || (beta && is_in(of_beta(kind)))
            }
            Self::User => is_extension || is_in(USER),
            Self::Group => is_extension || is_in(GROUP),
            Self::DirectoryObject => is_extension || is_in(USER) || is_in(GROUP),
        }
    }

    /// Refuses a selection with a name that the type does not have.
    ///
    /// # Errors
    ///
    /// 400 for the first such name (planner-api.md 8.1).
    pub(crate) fn check_selection(self, names: &[&str]) -> Result<(), GraphError> {
        match names.iter().find(|name| !self.has(name)) {
            None => Ok(()),
            Some(name) => Err(self.missing("Parsing OData Select and Expand failed", name)),
        }
    }

    /// Returns the refusal of a name that the type does not have, where `what` could not be read.
    pub(crate) fn missing(self, what: &str, name: &str) -> GraphError {
        GraphError::bad_request(format!(
            "{what}: Could not find a property named '{name}' on type '{}'.",
            self.name()
        ))
    }
}

/// Returns the navigations of a kind, which a selection may name without effect.
fn navigations(kind: ObjectKind) -> &'static [&'static str] {
    match kind {
        ObjectKind::Plan => &["buckets", "tasks", "details"],
        ObjectKind::Bucket => &["tasks"],
        ObjectKind::Task => &[
            "details",
            "assignedToTaskBoardFormat",
            "bucketTaskBoardFormat",
            "progressTaskBoardFormat",
        ],
        _ => &[],
    }
}

/// Returns the properties of a kind in the beta alone (planner-api.md 1.13).
fn of_beta(kind: ObjectKind) -> &'static [&'static str] {
    match kind {
        ObjectKind::Plan => &[
            "archivalInfo",
            "contexts",
            "creationSource",
            "hasEnabledTimelineView",
            "isArchived",
            "lastModifiedBy",
            "lastModifiedDateTime",
            "sharedWithContainers",
        ],
        ObjectKind::PlanDetails => &["contextDetails"],
        ObjectKind::Bucket => &["archivalInfo", "creationSource", "isArchived"],
        ObjectKind::Task => &[
            "archivalInfo",
            "creationSource",
            "hasChat",
            "isArchived",
            "isOnMyDay",
            "isOnMyDayLastModifiedDate",
            "lastModifiedBy",
            "lastModifiedDateTime",
            "recurrence",
            "specifiedCompletionRequirements",
        ],
        ObjectKind::TaskDetails => {
            &["approvalAttachment", "completionRequirements", "forms", "notes"]
        }
        _ => &[],
    }
}

const USER: &[&str] = &[
    "aboutMe",
    "accountEnabled",
    "ageGroup",
    "assignedLicenses",
    "assignedPlans",
    "authorizationInfo",
    "birthday",
    "businessPhones",
    "city",
    "cloudRealtimeCommunicationInfo",
    "companyName",
    "consentProvidedForMinor",
    "country",
    "createdDateTime",
    "creationType",
    "customSecurityAttributes",
    "deletedDateTime",
    "department",
    "deviceEnrollmentLimit",
    "displayName",
    "employeeHireDate",
    "employeeId",
    "employeeLeaveDateTime",
    "employeeOrgData",
    "employeeType",
    "externalUserState",
    "externalUserStateChangeDateTime",
    "faxNumber",
    "givenName",
    "hireDate",
    "id",
    "identities",
    "imAddresses",
    "interests",
    "isManagementRestricted",
    "isResourceAccount",
    "jobTitle",
    "lastPasswordChangeDateTime",
    "legalAgeGroupClassification",
    "licenseAssignmentStates",
    "mail",
    "mailboxSettings",
    "mailNickname",
    "manager",
    "memberOf",
    "mobilePhone",
    "mySite",
    "officeLocation",
    "onPremisesDistinguishedName",
    "onPremisesDomainName",
    "onPremisesExtensionAttributes",
    "onPremisesImmutableId",
    "onPremisesLastSyncDateTime",
    "onPremisesProvisioningErrors",
    "onPremisesSamAccountName",
    "onPremisesSecurityIdentifier",
    "onPremisesSyncEnabled",
    "onPremisesUserPrincipalName",
    "otherMails",
    "passwordPolicies",
    "passwordProfile",
    "pastProjects",
    "postalCode",
    "preferredDataLocation",
    "preferredLanguage",
    "preferredName",
    "print",
    "provisionedPlans",
    "proxyAddresses",
    "responsibilities",
    "schools",
    "securityIdentifier",
    "serviceProvisioningErrors",
    "showInAddressList",
    "signInActivity",
    "signInSessionsValidFromDateTime",
    "skills",
    "state",
    "streetAddress",
    "surname",
    "usageLocation",
    "userPrincipalName",
    "userType",
];

/// The properties of a group.
const GROUP: &[&str] = &[
    "allowExternalSenders",
    "assignedLabels",
    "assignedLicenses",
    "autoSubscribeNewMembers",
    "classification",
    "createdDateTime",
    "creationOptions",
    "deletedDateTime",
    "description",
    "displayName",
    "expirationDateTime",
    "groupTypes",
    "hasMembersWithLicenseErrors",
    "hideFromAddressLists",
    "hideFromOutlookClients",
    "id",
    "infoCatalogs",
    "isArchived",
    "isAssignableToRole",
    "isManagementRestricted",
    "isSubscribedByMail",
    "licenseProcessingState",
    "mail",
    "mailEnabled",
    "mailNickname",
    "members",
    "membershipRule",
    "membershipRuleProcessingState",
    "onPremisesDomainName",
    "onPremisesLastSyncDateTime",
    "onPremisesNetBiosName",
    "onPremisesProvisioningErrors",
    "onPremisesSamAccountName",
    "onPremisesSecurityIdentifier",
    "onPremisesSyncEnabled",
    "owners",
    "preferredDataLocation",
    "preferredLanguage",
    "proxyAddresses",
    "renewedDateTime",
    "resourceBehaviorOptions",
    "resourceProvisioningOptions",
    "securityEnabled",
    "securityIdentifier",
    "serviceProvisioningErrors",
    "theme",
    "uniqueName",
    "unseenCount",
    "visibility",
    "writebackConfiguration",
];

#[cfg(test)]
mod tests {
    use super::{ObjectKind, Type};

    #[test]
    fn names_are_those_of_the_type_in_any_case() {
        let task = Type::Planner(ObjectKind::Task, false);
        for (of, name, expected) in [
            (task, "Title", true),
            (task, "details", true),
            (task, "recurrence", false),
            (Type::Planner(ObjectKind::Task, true), "recurrence", true),
            (Type::User, "onPremisesExtensionAttributes/extensionAttribute1", true),
            (Type::User, "extension_ab12_skypeId", true),
            (Type::User, "groupTypes", false),
            (Type::DirectoryObject, "groupTypes", true),
            (Type::Group, "", false),
        ] {
            assert_eq!(of.has(name), expected, "{name}");
        }
        assert_eq!(
            task.check_selection(&["id", "nmae"]).unwrap_err().message,
            "Parsing OData Select and Expand failed: Could not find a property named 'nmae' on type \
             'microsoft.graph.plannerTask'."
        );
    }
}
