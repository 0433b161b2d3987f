//! From rows to a snapshot: sorted, checked, with shared texts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::agency::Agency;
use super::code::{CODE_LENGTH_MAX, Code, SystemId};
use super::rule::{List, Prefix, Rule};
use super::system::{Role, System};
use super::{Directory, Error, Rows, is_name, layers, text};
use crate::limits::{
    DIRECTORY_AGENCIES_MAX, DIRECTORY_DEPTH_MAX, RECIPIENTS_MAX, SUCCESSION_CHAIN_MAX,
};

impl Directory {
    /// A snapshot of these rows.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn of(rows: Rows) -> Result<Self, Error> {
        let mut directory = Self {
            as_of: rows.as_of,
            rows: Vec::new(),
            current: Vec::new(),
            by_qcvn: Vec::new(),
            by_parent: Vec::new(),
            systems: HashMap::new(),
            by_identity: HashMap::new(),
            lists: lists(rows.lists)?,
            prefixes: Vec::new(),
            rules: Vec::new(),
        };
        for system in rows.systems {
            directory.add_system(system)?;
        }
        directory.rows = latest(rows.agencies)?;
        directory.choose_current()?;
        directory.share_texts()?;
        directory.index();
        directory.check_codes()?;
        directory.check_chains()?;
        directory.prefixes = directory.checked_prefixes(rows.prefixes)?;
        directory.rules = directory.checked_rules(rows.rules)?;
        directory.check_lists()?;
        Ok(directory)
    }

    fn add_system(&mut self, mut system: System) -> Result<(), Error> {
        let name = system.gateway.as_deref();
        let fits = |name: &str| {
            let allowed = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'.' | b'-');
            (1..=CODE_LENGTH_MAX).contains(&name.len()) && name.bytes().all(allowed)
        };
        let new =
            !self.systems.values().any(|other| name.is_some() && other.gateway.as_deref() == name);
        if !new || name.is_some() != (system.role == Role::Gateway) || !name.is_none_or(fits) {
            return Err(Error::GatewayName(system.id));
        }
        system.identities.sort();
        for identity in &system.identities {
            if !text::is_line(identity) || identity.contains(' ') {
                return Err(Error::Name(identity.clone(), "no identity of a system".into()));
            }
            if self.by_identity.insert(identity.clone(), system.id.clone()).is_some() {
                return Err(Error::SystemTwice(identity.clone()));
            }
        }
        match self.systems.insert(system.id.clone(), system) {
            Some(twice) => Err(Error::SystemTwice(twice.id.to_string())),
            None => Ok(()),
        }
    }

    fn choose_current(&mut self) -> Result<(), Error> {
        for (index, row) in self.rows.iter().enumerate() {
            let index = u32::try_from(index).expect("rows are limited");
            match self.current.last_mut() {
                Some(last) if self.rows[*last as usize].code == row.code => {
                    if row.valid_from <= self.as_of {
                        *last = index;
                    }
                }
                _ => self.current.push(index),
            }
        }
        Ok(())
    }

    /// Every code that names another row becomes that row's own, every source and host one of a kind.
    fn share_texts(&mut self) -> Result<(), Error> {
        let codes: Vec<Code> = self.agencies().map(|agency| agency.code.clone()).collect();
        let mut sources: HashSet<Arc<str>> = HashSet::new();
        for row in &mut self.rows {
            let own = row.code.clone();
            let dangling = |name: &str| Error::Dangling(own.clone(), name.to_owned());
            let successors = row.successors.iter_mut().map(|successor| &mut successor.code);
            for code in std::iter::once(&mut row.code).chain(&mut row.parent).chain(successors) {
                let found = codes.binary_search(code).map_err(|_| dangling(code.as_str()))?;
                *code = codes[found].clone();
            }
            if let Some(host) = &mut row.host {
                let system = self.systems.get(host).ok_or_else(|| dangling(host.as_str()))?;
                *host = system.id.clone();
            }
            if let Some(source) = &mut row.source {
                match sources.get(source) {
                    Some(known) => *source = known.clone(),
                    None => _ = sources.insert(source.clone()),
                }
            }
        }
        Ok(())
    }

    fn index(&mut self) {
        let count = u32::try_from(self.rows.len()).expect("rows are limited");
        let rows = &self.rows;
        let row = |index: &u32| &rows[*index as usize];
        self.by_parent = (0..count).filter(|one| row(one).parent.is_some()).collect();
        self.by_parent.sort_by(|a, b| row(a).parent.cmp(&row(b).parent));
        self.by_qcvn = (0..count).filter(|one| row(one).code_qcvn.is_some()).collect();
        self.by_qcvn.sort_by(|a, b| row(a).code_qcvn.cmp(&row(b).code_qcvn));
    }

    /// One agency for each code of either notation, and none with the name of a gateway.
    fn check_codes(&self) -> Result<(), Error> {
        for pair in self.by_qcvn.windows(2) {
            let (one, other) = (self.row(pair[0]), self.row(pair[1]));
            if one.code_qcvn == other.code_qcvn && one.code != other.code {
                return Err(Error::CodeTwice(
                    other.code_qcvn.clone().unwrap_or(other.code.clone()),
                ));
            }
        }
        for row in &self.by_qcvn {
            let agency = self.row(*row);
            let Some(qcvn) = &agency.code_qcvn else { continue };
            if *qcvn != agency.code && self.place(qcvn).is_some() {
                return Err(Error::CodeTwice(qcvn.clone()));
            }
        }
        for system in self.systems.values() {
            let named = system.gateway.as_deref().and_then(Code::parse);
            if named.is_some_and(|code| self.place(&code).is_some()) {
                return Err(Error::GatewayName(system.id.clone()));
            }
        }
        Ok(())
    }

    fn check_chains(&self) -> Result<(), Error> {
        let (mut parents, mut successors) = (Vec::new(), Vec::new());
        for row in &self.rows {
            let number = |code: &Code| {
                let place = self.place(code).expect("every code was found before");
                u32::try_from(place).expect("rows are limited")
            };
            let own = number(&row.code);
            parents.extend(row.parent.as_ref().map(|parent| (own, number(parent))));
            successors.extend(row.successors.iter().map(|one| (own, number(&one.code))));
        }
        for edges in [&mut parents, &mut successors] {
            edges.sort_unstable();
            edges.dedup();
        }
        let code = |at: u32| self.row(self.current[at as usize]).code.clone();
        let depth = |edges: &[_]| layers::depth(self.current.len(), edges).map_err(code);
        let below = depth(&parents).map_err(Error::Circle)?;
        if below >= DIRECTORY_DEPTH_MAX {
            return Err(Error::TooDeep("agencies", below + 1, DIRECTORY_DEPTH_MAX));
        }
        let after = depth(&successors).map_err(Error::SuccessionCircle)?;
        if after > SUCCESSION_CHAIN_MAX {
            return Err(Error::TooDeep("successors", after, SUCCESSION_CHAIN_MAX));
        }
        Ok(())
    }

    fn checked_prefixes(&self, mut prefixes: Vec<Prefix>) -> Result<Vec<Prefix>, Error> {
        prefixes.sort_by(|one, other| one.prefix.cmp(&other.prefix));
        for pair in prefixes.windows(2) {
            if pair[0].prefix == pair[1].prefix {
                return Err(Error::NameTwice(pair[0].prefix.clone()));
            }
        }
        for one in &prefixes {
            let wrong = |problem: String| Err(Error::Name(one.prefix.clone(), problem));
            let groups = one.prefix.split('.').all(|group| !group.is_empty());
            if !one.prefix.is_empty() && (Code::parse(&one.prefix).is_none() || !groups) {
                return wrong("no whole groups of a code".into());
            }
            if self.systems.get(&one.via).is_none_or(|system| system.gateway.is_none()) {
                return wrong(format!("{} is no gateway in the directory", one.via));
            }
        }
        Ok(prefixes)
    }

    fn checked_rules(&self, mut rules: Vec<Rule>) -> Result<Vec<Rule>, Error> {
        let mut names = HashSet::new();
        for rule in &mut rules {
            let wrong = |problem: String| Error::Name(rule.name.clone(), problem);
            if !is_name(&rule.name) {
                return Err(wrong("a name has 1-64 of 0-9 a-z -".into()));
            }
            if !names.insert(rule.name.clone()) {
                return Err(Error::NameTwice(rule.name.clone()));
            }
            let selectors = [&rule.from, &rule.to];
            let named = selectors.iter().flat_map(|one| one.codes.iter().chain(&one.below));
            if let Some(code) = named.into_iter().find(|code| self.place(code).is_none()) {
                return Err(wrong(format!("{code} is not in the directory")));
            }
            if !rule.types.iter().chain(&rule.urgencies).all(|item| text::is_item(item)) {
                return Err(wrong("a type or urgency is no line without |".into()));
            }
            for selector in [&mut rule.from, &mut rule.to] {
                selector.codes.sort();
                selector.below.sort();
                selector.kinds.sort_by_key(|kind| kind.word());
            }
            rule.types.sort();
            rule.urgencies.sort();
        }
        Ok(rules)
    }

    fn check_lists(&self) -> Result<(), Error> {
        for list in &self.lists {
            let missing = list.members.iter().find(|code| self.agency(code).is_none());
            if let Some(code) = missing {
                let problem = format!("{code} is not in the directory");
                return Err(Error::Name(list.name.clone(), problem));
            }
        }
        Ok(())
    }

    /// The systems in the order of their names.
    pub fn systems(&self) -> Vec<&System> {
        let mut systems: Vec<_> = self.systems.values().collect();
        systems.sort_by(|one, other| one.id.cmp(&other.id));
        systems
    }

    /// The named lists in the order of their names.
    pub fn lists(&self) -> &[List] {
        &self.lists
    }

    /// The prefixes behind neighbours in their order.
    pub fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }

    /// Whether the system is in the directory.
    pub fn has_system(&self, id: &SystemId) -> bool {
        self.systems.contains_key(id)
    }
}

/// The rows that count: of each code those with its highest revision, by code and period.
fn latest(mut rows: Vec<Agency>) -> Result<Vec<Agency>, Error> {
    if rows.len() > DIRECTORY_AGENCIES_MAX {
        return Err(Error::TooMany(rows.len(), DIRECTORY_AGENCIES_MAX));
    }
    rows.sort_by(|one, other| {
        let newest_first = other.revision.cmp(&one.revision);
        one.code.cmp(&other.code).then(newest_first).then(one.valid_from.cmp(&other.valid_from))
    });
    let mut kept: Vec<Agency> = Vec::with_capacity(rows.len());
    for mut row in rows {
        row.successors.sort();
        row.seals.sort();
        if let Some(problem) = row.fault() {
            return Err(Error::Record(row.code, problem));
        }
        if row.valid_until.is_some_and(|last| last < row.valid_from) {
            return Err(Error::Backwards(row.code));
        }
        if let Some(before) = kept.last().filter(|before| before.code == row.code) {
            if before.revision > row.revision {
                continue;
            }
            if before.valid_from == row.valid_from {
                return Err(Error::CodeTwice(row.code));
            }
            if before.valid_until.is_none_or(|last| row.valid_from <= last) {
                return Err(Error::Overlap(row.code));
            }
        }
        kept.push(row);
    }
    kept.shrink_to_fit();
    Ok(kept)
}

fn lists(mut lists: Vec<List>) -> Result<Vec<List>, Error> {
    lists.sort_by(|one, other| one.name.cmp(&other.name));
    for list in &mut lists {
        list.members.sort();
        list.members.dedup();
        let wrong = |problem: &str| Err(Error::Name(list.name.clone(), problem.into()));
        if !is_name(&list.name) {
            return wrong("a name has 1-64 of 0-9 a-z -");
        }
        if list.members.is_empty() || list.members.len() > RECIPIENTS_MAX {
            return wrong("a list has 1 to 5,000 members");
        }
    }
    match lists.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(Error::NameTwice(pair[0].name.clone())),
        None => Ok(lists),
    }
}
