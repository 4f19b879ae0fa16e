//! What `tiergate ca` does in a folder: make the authorities, issue, revoke, renew the lists.

use super::certificate::{BACKDATE, DAY, Made};
use super::{
    CaError, DeviceAuthority, DeviceName, Folder, Leaf, Pair, Purpose, RevocationList, Root, Serial,
};
use crate::access::Timestamp;
use crate::files::{self, Readers};
use std::path::PathBuf;

/// For how many days what is made is good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lives {
    /// The authorities.
    pub authority: u16,
    /// Their revocation lists.
    pub list: u16,
}

/// A certificate that is asked for.
#[derive(Debug)]
pub struct Order<'a> {
    /// The device.
    pub name: &'a DeviceName,
    /// Who signs.
    pub authority: DeviceAuthority,
    /// For how many days; never longer than the authority.
    pub days: u16,
    /// The password of the `.p12` file; one is made where there is none.
    pub password: Option<&'a str>,
    /// Replaces what was issued under this name.
    pub replace: bool,
}

/// A certificate that was issued.
#[derive(Debug)]
pub struct Issued {
    /// Of the certificate.
    pub serial: Serial,
    /// When it ends.
    pub until: Timestamp,
    /// `NAME.pem`.
    pub certificate: PathBuf,
    /// `NAME.key`.
    pub key: PathBuf,
    /// `NAME.p12`.
    pub p12: PathBuf,
    /// The password of the `.p12` file, where it was made here; it stands nowhere else.
    pub made_password: Option<String>,
    /// The certificate that was replaced, and who issued it, where that is as good as before until it
    /// ends or is revoked.
    pub replaced: Option<(Serial, DeviceAuthority)>,
}

/// What is to be revoked.
#[derive(Clone, Debug)]
pub enum Revoking {
    /// The certificate that was issued to a device.
    Device(DeviceName),
    /// The certificate of a file.
    File(PathBuf),
    /// A number, with the authority that gave it.
    Serial(Serial, DeviceAuthority),
}

/// A certificate that is revoked.
#[derive(Debug)]
pub struct Revoked {
    /// Of the certificate.
    pub serial: Serial,
    /// Since when, where it was on the list before.
    pub before: Option<Timestamp>,
    /// The list that it is on.
    pub list: Listed,
}

/// A revocation list as it was written.
#[derive(Debug)]
pub struct Listed {
    /// Whose.
    pub authority: DeviceAuthority,
    /// Its file.
    pub path: PathBuf,
    /// Its number, higher than that of the one before.
    pub number: u64,
    /// How many certificates are on it.
    pub entries: usize,
    /// When a newer one is due.
    pub until: Timestamp,
}

impl Folder {
    /// Makes both authorities with an empty revocation list each; when the authorities end.
    ///
    /// # Errors
    ///
    /// Where a file of them is there and `replace` is not said, or the file is none of ours.
    pub fn init(&self, lives: Lives, replace: bool, now: Timestamp) -> Result<Timestamp, CaError> {
        for authority in DeviceAuthority::ALL {
            let name = authority.file();
            self.free(&[&format!("{name}.pem"), &format!("{name}.key"), authority.crl()], name, replace)?;
        }
        let until = now + Timestamp::from(lives.authority) * DAY;
        for authority in DeviceAuthority::ALL {
            let root = Root { name: authority.common_name(), local_only: false, from: now - BACKDATE, until };
            let pair = Pair::root(&root)?;
            self.store(authority.file(), &pair)?;
            self.put(authority, &pair, RevocationList::default(), lives.list, now)?;
        }
        Ok(until)
    }

    /// Issues a certificate to a device.
    ///
    /// # Errors
    ///
    /// Where there is no authority, or a file of this name is there and may not be replaced.
    pub fn issue(&self, order: &Order<'_>, now: Timestamp) -> Result<Issued, CaError> {
        let Order { name, authority, days, password, replace } = *order;
        let name = name.as_str();
        let file = |extension: &str| format!("{name}.{extension}");
        let replaced = match self.free(&[&file("pem"), &file("key"), &file("p12")], name, replace)? {
            Some(made) => self.issued(&made)?.map(|issuer| (made.serial, issuer)),
            None => None,
        };
        let issuer = self.authority(authority)?;
        let until = (now + Timestamp::from(days) * DAY).min(issuer.made.until);
        if until <= now {
            return Err(CaError::Ended(self.at(&format!("{}.pem", authority.file()))));
        }
        let leaf = Leaf { name, purpose: Purpose::Device, from: now - BACKDATE, until };
        let pair = issuer.sign(&leaf)?;
        let made_password = match password {
            Some(_) => None,
            None => Some(files::random_word().map_err(|_| CaError::Random)?),
        };
        let p12 = pair.pkcs12(name, &issuer, password.or(made_password.as_deref()).unwrap_or_default())?;
        self.store(name, &pair)?;
        self.write(&file("p12"), &p12, Readers::Owner)?;
        Ok(Issued {
            serial: pair.made.serial,
            until,
            certificate: self.at(&file("pem")),
            key: self.at(&file("key")),
            p12: self.at(&file("p12")),
            made_password,
            replaced,
        })
    }

    /// Revokes a certificate: its authority's list is written anew, good for `days`, unless it is on it.
    ///
    /// # Errors
    ///
    /// Where there is no such certificate, no authority here issued it, or there is no list to add it to.
    pub fn revoke(&self, what: &Revoking, days: u16, now: Timestamp) -> Result<Revoked, CaError> {
        let (serial, authority) = match what {
            Revoking::Serial(serial, authority) => (serial.clone(), *authority),
            Revoking::Device(name) => self.issuer_of(self.at(&format!("{name}.pem")))?,
            Revoking::File(path) => self.issuer_of(path.clone())?,
        };
        let issuer = self.authority(authority)?;
        let mut list = self.list(authority, &issuer)?;
        let before = list.since(&serial);
        let list = if before.is_some() {
            self.listed(authority, &list)
        } else {
            list.add(&serial, now, None);
            self.put(authority, &issuer, list, days, now)?
        };
        Ok(Revoked { serial, before, list })
    }

    /// Writes both revocation lists anew, good for `days`, with what is on them.
    ///
    /// # Errors
    ///
    /// Where there is no authority, or no list to go on with.
    pub fn renew_lists(&self, days: u16, now: Timestamp) -> Result<Vec<Listed>, CaError> {
        // Read both before one is written.
        let mut found = Vec::new();
        for authority in DeviceAuthority::ALL {
            let issuer = self.authority(authority)?;
            let list = self.list(authority, &issuer)?;
            found.push((authority, issuer, list));
        }
        let put = |(authority, issuer, list)| self.put(authority, &issuer, list, days, now);
        found.into_iter().map(put).collect()
    }

    /// Whether these files may be written: none is there, or `replace` is said and the certificate among
    /// them, which is returned, was made for development.
    fn free(&self, files: &[&str], name: &str, replace: bool) -> Result<Option<Made>, CaError> {
        let Some(there) = files.iter().find(|file| self.has(file)) else { return Ok(None) };
        if !replace {
            return Err(CaError::Exists(self.at(there)));
        }
        match self.certificate(name)? {
            Some(made) if made.is_marked => Ok(Some(made)),
            Some(_) | None => Err(CaError::Foreign(self.at(there))),
        }
    }

    fn authority(&self, authority: DeviceAuthority) -> Result<Pair, CaError> {
        let pair = self.pair(authority.file())?;
        let path = || self.at(&format!("{}.pem", authority.file()));
        let pair = pair.ok_or_else(|| CaError::NoAuthority(path()))?;
        if pair.made.is_marked { Ok(pair) } else { Err(CaError::Foreign(path())) }
    }

    /// Which of the authorities here issued a certificate.
    fn issued(&self, made: &Made) -> Result<Option<DeviceAuthority>, CaError> {
        for authority in DeviceAuthority::ALL {
            if self.certificate(authority.file())?.is_some_and(|it| made.is_of(&it)) {
                return Ok(Some(authority));
            }
        }
        Ok(None)
    }

    fn issuer_of(&self, path: PathBuf) -> Result<(Serial, DeviceAuthority), CaError> {
        let text = files::read(&path).map_err(|error| CaError::File(path.clone(), error))?;
        let Some(made) = text.and_then(|text| Made::read(&text)) else {
            return Err(CaError::NoCertificate(path));
        };
        match self.issued(&made)? {
            Some(authority) => Ok((made.serial, authority)),
            None => Err(CaError::Stranger(path)),
        }
    }

    fn list(&self, authority: DeviceAuthority, issuer: &Pair) -> Result<RevocationList, CaError> {
        let list = self.read(authority.crl())?.and_then(|text| RevocationList::read(&text));
        let list = list.filter(|list| list.is_of(&issuer.made));
        list.ok_or_else(|| CaError::NoList(self.at(authority.crl())))
    }

    fn put(
        &self,
        authority: DeviceAuthority,
        issuer: &Pair,
        mut list: RevocationList,
        days: u16,
        now: Timestamp,
    ) -> Result<Listed, CaError> {
        let text = list.renew(issuer, now, Timestamp::from(days) * DAY)?;
        self.write(authority.crl(), text.as_bytes(), Readers::Anybody)?;
        Ok(self.listed(authority, &list))
    }

    fn listed(&self, authority: DeviceAuthority, list: &RevocationList) -> Listed {
        let (path, number) = (self.at(authority.crl()), list.number);
        Listed { authority, path, number, entries: list.len(), until: list.until }
    }
}

#[cfg(test)]
mod tests;
