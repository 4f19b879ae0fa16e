//! What is known of the lists of Fleet, Jamf Pro and Microsoft Intune.
//!
//! Whatever a preset does not read says nothing of a device: it lowers no trust, and meets no posture.

use super::{FieldMap, Paging, Pointer, Reading};
use std::collections::BTreeSet;
use url::Url;

/// Devices of a page.
const PAGE: &str = "500";

/// A device management whose list is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Preset {
    /// Fleet: `GET /api/v1/fleet/hosts`.
    Fleet,
    /// Jamf Pro, its computers: `GET /api/v1/computers-inventory`.
    Jamf,
    /// Microsoft Intune: `GET /v1.0/deviceManagement/managedDevices` of Microsoft Graph.
    Intune,
}

/// Places in the form of the tables below: a pointer, and what its values mean.
type Places = &'static [(&'static str, &'static [(&'static str, &'static str)])];

/// Of Fleet's names for distributions, those that are in use.
const FLEET_PLATFORMS: &[(&str, &str)] = &[
    ("darwin", "macos"),
    ("windows", "windows"),
    ("chrome", "chromeos"),
    ("ios", "ios"),
    ("ipados", "ipados"),
    ("android", "android"),
    ("linux", "linux"),
    ("ubuntu", "linux"),
    ("debian", "linux"),
    ("rhel", "linux"),
    ("centos", "linux"),
    ("fedora", "linux"),
    ("rocky", "linux"),
    ("almalinux", "linux"),
    ("ol", "linux"),
    ("amzn", "linux"),
    ("sles", "linux"),
    ("opensuse", "linux"),
    ("opensuse-leap", "linux"),
    ("opensuse-tumbleweed", "linux"),
    ("arch", "linux"),
    ("manjaro", "linux"),
    ("linuxmint", "linux"),
    ("pop", "linux"),
    ("nixos", "linux"),
    ("kali", "linux"),
];

impl Preset {
    pub(super) const WORDS: &'static [(&'static str, Self)] =
        &[("fleet", Self::Fleet), ("jamf", Self::Jamf), ("intune", Self::Intune)];

    /// Where in a page the devices are.
    pub(super) fn items(self) -> Pointer {
        Pointer(match self {
            Self::Fleet => "/hosts".to_owned(),
            Self::Jamf => "/results".to_owned(),
            Self::Intune => "/value".to_owned(),
        })
    }

    pub(super) fn paging(self) -> Paging {
        match self {
            Self::Fleet => Paging::Numbered { key: "page", total: None },
            Self::Jamf => Paging::Numbered { key: "page", total: Some(Pointer("/totalCount".to_owned())) },
            Self::Intune => Paging::Link(Pointer("/@odata.nextLink".to_owned())),
        }
    }

    /// The first page at a server; no more of each device is asked for than the map reads, where that can be
    /// said.
    pub(super) fn first(self, server: &Url, map: &FieldMap) -> Url {
        let keys: BTreeSet<String> = map.readings().map(|reading| reading.at.first()).collect();
        let (path, query): (&str, Vec<(&str, String)>) = match self {
            // In the order of their making, so that a new device does not move others to another page.
            Self::Fleet => (
                "/api/v1/fleet/hosts",
                vec![
                    ("order_key", "id".to_owned()),
                    ("order_direction", "asc".to_owned()),
                    ("per_page", PAGE.to_owned()),
                    ("page", "0".to_owned()),
                ],
            ),
            Self::Jamf => {
                let sections = keys.iter().filter(|key| !matches!(key.as_str(), "id" | "udid"));
                let mut query: Vec<_> = sections.map(|key| ("section", upper_snake(key))).collect();
                query.extend([
                    ("sort", "id:asc".to_owned()),
                    ("page-size", PAGE.to_owned()),
                    ("page", "0".to_owned()),
                ]);
                ("/api/v1/computers-inventory", query)
            }
            Self::Intune => (
                "/v1.0/deviceManagement/managedDevices",
                vec![("$select", keys.into_iter().collect::<Vec<_>>().join(",")), ("$top", PAGE.to_owned())],
            ),
        };
        let mut first = server.clone();
        let base = server.path().trim_end_matches('/');
        first.set_path(&format!("{}{path}", base.strip_suffix(path).unwrap_or(base)));
        let stated: BTreeSet<String> = server.query_pairs().map(|(key, _)| key.into_owned()).collect();
        first.query_pairs_mut().extend_pairs(query.iter().filter(|(key, _)| !stated.contains(*key)));
        first
    }

    /// Where in a device's JSON its record is found.
    pub(super) fn map(self) -> FieldMap {
        match self {
            Self::Fleet => FieldMap {
                id: places(&[("/hardware_serial", &[]), ("/uuid", &[])]),
                platform: places(&[("/platform", FLEET_PLATFORMS)]),
                os_version: places(&[("/os_version", &[])]),
                last_checkin: places(&[("/detail_updated_at", &[])]),
                ownership: places(&[(
                    "/mdm/enrollment_status",
                    &[("On (automatic)", "corporate"), ("On (personal)", "personal")],
                )]),
                state: places(&[("/mdm/device_status", &[("locked", "lost"), ("wiped", "retired")])]),
                posture: holding(&[
                    ("disk_encrypted", &[("/disk_encryption_enabled", &[])]),
                    ("policies_pass", &[("/issues/failing_policies_count", &[("0", "true")])]),
                ]),
                ..FieldMap::default()
            },
            Self::Jamf => FieldMap {
                id: places(&[("/hardware/serialNumber", &[])]),
                owner: places(&[("/userAndLocation/email", &[]), ("/userAndLocation/username", &[])]),
                platform: places(&[(
                    "/operatingSystem/name",
                    &[("macOS", "macos"), ("Mac OS X", "macos"), ("OS X", "macos")],
                )]),
                os_version: places(&[("/operatingSystem/version", &[])]),
                last_checkin: places(&[("/general/lastContactTime", &[])]),
                // A computer that Jamf knows and does not manage any more.
                trust: places(&[("/general/remoteManagement/managed", &[("false", "none")])]),
                posture: holding(&[
                    (
                        "disk_encrypted",
                        &[(
                            "/diskEncryption/bootPartitionEncryptionDetails/partitionFileVault2State",
                            &[("ENCRYPTED", "true"), ("VALID", "true")],
                        )],
                    ),
                    ("firewall", &[("/security/firewallEnabled", &[])]),
                    (
                        "gatekeeper",
                        &[(
                            "/security/gatekeeperStatus",
                            &[("APP_STORE_AND_IDENTIFIED_DEVELOPERS", "true"), ("APP_STORE", "true")],
                        )],
                    ),
                    ("system_integrity", &[("/security/sipStatus", &[("ENABLED", "true")])]),
                ]),
                ..FieldMap::default()
            },
            Self::Intune => FieldMap {
                id: places(&[("/serialNumber", &[])]),
                owner: places(&[("/userPrincipalName", &[]), ("/emailAddress", &[])]),
                platform: places(&[("/operatingSystem", &[])]),
                os_version: places(&[("/osVersion", &[])]),
                last_checkin: places(&[("/lastSyncDateTime", &[])]),
                ownership: places(&[(
                    "/managedDeviceOwnerType",
                    &[("company", "corporate"), ("personal", "personal")],
                )]),
                posture: holding(&[
                    ("compliant", &[("/complianceState", &[("compliant", "true")])]),
                    ("disk_encrypted", &[("/isEncrypted", &[])]),
                    ("not_jailbroken", &[("/jailBroken", &[("False", "true")])]),
                ]),
                ..FieldMap::default()
            },
        }
    }
}

fn places(places: Places) -> Vec<Reading> {
    let reading = |(at, values): &(&str, &[(&str, &str)])| {
        let own = |text: &&str| (*text).to_owned();
        let values = values.iter().map(|(from, to)| (own(from), own(to))).collect();
        Reading {
            at: Pointer(own(at)),
            values: Some(values).filter(|it: &std::collections::BTreeMap<_, _>| !it.is_empty()),
        }
    };
    places.iter().map(reading).collect()
}

fn holding(facts: &[(&str, Places)]) -> std::collections::BTreeMap<String, Vec<Reading>> {
    facts.iter().map(|(name, at)| ((*name).to_owned(), places(at))).collect()
}

/// `operatingSystem` as Jamf names the section: `OPERATING_SYSTEM`.
fn upper_snake(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 4);
    for letter in key.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
