//! Certificate policies along a path (RFC 5280 §6.1 as RFC 9618 amends it).
//!
//! The valid policy tree of RFC 5280 grows exponentially with hostile mappings. Here each policy
//! stands once per certificate, and only the newest level is kept: what a node needs to know of its
//! ancestors is the policies of the anchor's domain that it stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::asn1::{self, Malformed, Reader, dotted, only, tag};
use super::name::text;
use crate::limits::POLICIES_MAX;

/// A certificate policy, by its object identifier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyId(Box<[u8]>);

/// Not an object identifier in dots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an object identifier such as 2.16.704.1.1")]
pub struct PolicyIdError;

impl PolicyId {
    const ANY: &[u8] = &[0x55, 0x1d, 0x20, 0x00];

    /// anyPolicy, which stands for every policy.
    pub fn any() -> Self {
        Self(Self::ANY.into())
    }

    fn is_any(&self) -> bool {
        *self.0 == *Self::ANY
    }
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&dotted(&self.0))
    }
}

impl FromStr for PolicyId {
    type Err = PolicyIdError;

    fn from_str(text: &str) -> Result<Self, PolicyIdError> {
        let arcs = text.split('.').map(|arc| arc.parse::<u32>().map(u64::from));
        let arcs = arcs.collect::<Result<Vec<_>, _>>().map_err(|_| PolicyIdError)?;
        let [root @ 0..=2, second, rest @ ..] = arcs.as_slice() else {
            return Err(PolicyIdError);
        };
        if *root < 2 && *second >= 40 {
            return Err(PolicyIdError);
        }
        let low = |arc: u64| u8::try_from(arc & 0x7f).unwrap_or(0);
        let mut bytes = Vec::new();
        for arc in std::iter::once(root * 40 + second).chain(rest.iter().copied()) {
            let groups = (1..10).rev().filter(|group| arc >> (7 * group) != 0);
            bytes.extend(groups.map(|group| 0x80 | low(arc >> (7 * group))));
            bytes.push(low(arc));
        }
        Ok(Self(bytes.into()))
    }
}

/// What the one who relies on a path asks of its policies: the inputs (c) and (e) to (g) of
/// RFC 5280 §6.1.1. The default asks nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InitialPolicies {
    /// user-initial-policy-set; `None` is any-policy.
    pub acceptable: Option<BTreeSet<PolicyId>>,
    /// initial-explicit-policy: one acceptable policy must hold along the whole path.
    pub explicit_policy: bool,
    /// initial-policy-mapping-inhibit: no authority may translate policies.
    pub mapping_inhibited: bool,
    /// initial-any-policy-inhibit: anyPolicy in a certificate stands for nothing.
    pub any_policy_inhibited: bool,
}

/// A policy under which a path is valid: one of the user-constrained-policy-set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidPolicy {
    /// The policy as the target certificate names it.
    pub policy: PolicyId,
    /// The policies of the trust anchor's domain that it stands for; empty for anyPolicy.
    pub domains: Vec<PolicyId>,
    /// User notices of every certificate on its way, to be shown to the relying party.
    pub notices: Vec<String>,
    /// Addresses of certification practice statements.
    pub statements: Vec<String>,
}

/// PolicyQualifierInfos of one policy that say something to people.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Qualifiers {
    notices: Vec<String>,
    statements: Vec<String>,
}

/// The extensions of one certificate that concern policies.
#[derive(Debug, Default)]
pub(super) struct Policies {
    /// certificatePolicies; `None` if absent.
    pub asserted: Option<Vec<(PolicyId, Arc<Qualifiers>)>>,
    /// policyMappings: issuerDomainPolicy and the subjectDomainPolicies it maps to.
    pub mapped: BTreeMap<PolicyId, Vec<PolicyId>>,
    pub require_explicit: Option<u32>,
    pub inhibit_mapping: Option<u32>,
    pub inhibit_any: Option<u32>,
}

impl Policies {
    /// Reads a certificatePolicies extension.
    pub fn read_asserted(&mut self, der: &[u8]) -> Result<(), Malformed> {
        let mut reader = only(der, tag::SEQUENCE)?.children();
        let mut asserted: Vec<(PolicyId, Arc<Qualifiers>)> = Vec::new();
        while !reader.is_empty() {
            let mut fields = reader.expect(tag::SEQUENCE)?.children();
            let policy = identifier(&mut fields)?;
            let qualifiers = fields.optional(tag::SEQUENCE)?;
            let known = asserted.iter().any(|(other, _)| *other == policy);
            // §4.2.1.4: a policy must not stand there twice.
            if known || asserted.len() == POLICIES_MAX {
                return Err(Malformed);
            }
            let qualifiers = qualifiers.map(|value| read_qualifiers(value.content)).transpose()?;
            asserted.push((policy, Arc::new(qualifiers.unwrap_or_default())));
        }
        self.asserted = Some(asserted);
        Ok(())
    }

    /// Reads a policyMappings extension.
    pub fn read_mapped(&mut self, der: &[u8]) -> Result<(), Malformed> {
        let mut reader = only(der, tag::SEQUENCE)?.children();
        for count in 0.. {
            if reader.is_empty() {
                break;
            }
            if count == POLICIES_MAX {
                return Err(Malformed);
            }
            let mut pair = reader.expect(tag::SEQUENCE)?.children();
            let (from, to) = (identifier(&mut pair)?, identifier(&mut pair)?);
            // §4.2.1.5: anyPolicy is mapped neither from nor to.
            if from.is_any() || to.is_any() {
                return Err(Malformed);
            }
            self.mapped.entry(from).or_default().push(to);
        }
        Ok(())
    }

    /// Reads a policyConstraints extension.
    pub fn read_constraints(&mut self, der: &[u8]) -> Result<(), Malformed> {
        let mut fields = only(der, tag::SEQUENCE)?.children();
        while !fields.is_empty() {
            let field = fields.read()?;
            match field.tag {
                0x80 => self.require_explicit = Some(asn1::count(field.content)?),
                0x81 => self.inhibit_mapping = Some(asn1::count(field.content)?),
                _ => return Err(Malformed),
            }
        }
        Ok(())
    }

    /// Reads an inhibitAnyPolicy extension.
    pub fn read_inhibit_any(&mut self, der: &[u8]) -> Result<(), Malformed> {
        self.inhibit_any = Some(asn1::count(only(der, tag::INTEGER)?.content)?);
        Ok(())
    }
}

fn identifier(fields: &mut Reader<'_>) -> Result<PolicyId, Malformed> {
    Ok(PolicyId(fields.expect(tag::OBJECT_IDENTIFIER)?.content.into()))
}

fn read_qualifiers(content: &[u8]) -> Result<Qualifiers, Malformed> {
    const STATEMENT: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 2, 1];
    const NOTICE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 2, 2];
    let mut qualifiers = Qualifiers::default();
    let mut reader = Reader::new(content);
    while !reader.is_empty() {
        let mut fields = reader.expect(tag::SEQUENCE)?.children();
        let kind = fields.expect(tag::OBJECT_IDENTIFIER)?.content;
        let value = fields.read()?;
        if kind == STATEMENT {
            qualifiers.statements.extend(text(value.tag, value.content));
        } else if kind == NOTICE {
            let mut notice = value.children();
            notice.optional(tag::SEQUENCE)?;
            if !notice.is_empty() {
                let words = notice.read()?;
                qualifiers.notices.extend(text(words.tag, words.content));
            }
        }
    }
    Ok(qualifiers)
}

/// Why no policy is left or a mapping is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoPolicy;

/// One policy that is valid down to the newest certificate.
struct Node {
    policy: PolicyId,
    /// What the next certificate must assert to continue it.
    expected: Vec<PolicyId>,
    /// The policies of the anchor's domain that it stands for.
    domains: BTreeSet<PolicyId>,
    /// Its own and those of the nodes above it.
    qualifiers: Vec<Arc<Qualifiers>>,
}

/// The state variables of RFC 5280 §6.1.2 that concern policies.
pub(super) struct PolicyState {
    /// The newest level of the valid policy graph; empty stands for NULL.
    level: Vec<Node>,
    explicit_policy: u32,
    policy_mapping: u32,
    inhibit_any: u32,
}

impl PolicyState {
    /// The state before the first of `length` certificates.
    pub fn new(initial: &InitialPolicies, length: usize) -> Self {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let start = |now: bool| if now { 0 } else { length.saturating_add(1) };
        let root = Node {
            policy: PolicyId::any(),
            expected: vec![PolicyId::any()],
            domains: BTreeSet::new(),
            qualifiers: Vec::new(),
        };
        Self {
            level: vec![root],
            explicit_policy: start(initial.explicit_policy),
            policy_mapping: start(initial.mapping_inhibited),
            inhibit_any: start(initial.any_policy_inhibited),
        }
    }

    /// §6.1.4 (i) and (j). A trust anchor's own constraints count too (RFC 5937 §3.2).
    pub fn constrain(&mut self, policies: &Policies) {
        let lower =
            |state: &mut u32, limit: Option<u32>| *state = (*state).min(limit.unwrap_or(*state));
        lower(&mut self.explicit_policy, policies.require_explicit);
        lower(&mut self.policy_mapping, policies.inhibit_mapping);
        lower(&mut self.inhibit_any, policies.inhibit_any);
    }

    /// §6.1.3 (d) to (f) for any certificate but the last, then §6.1.4 (a), (b), (h) to (j).
    pub fn pass(&mut self, policies: &Policies, self_issued: bool) -> Result<(), NoPolicy> {
        self.process(policies, self.inhibit_any > 0 || self_issued)?;
        self.map(policies);
        if !self_issued {
            for state in
                [&mut self.explicit_policy, &mut self.policy_mapping, &mut self.inhibit_any]
            {
                *state = state.saturating_sub(1);
            }
        }
        self.constrain(policies);
        Ok(())
    }

    /// §6.1.3 (d) to (f) for the last certificate, then §6.1.5 (a), (b) and (g).
    pub fn finish(
        mut self,
        policies: &Policies,
        acceptable: Option<&BTreeSet<PolicyId>>,
    ) -> Result<Vec<ValidPolicy>, NoPolicy> {
        self.process(policies, self.inhibit_any > 0)?;
        let mut explicit_policy = self.explicit_policy.saturating_sub(1);
        if policies.require_explicit == Some(0) {
            explicit_policy = 0;
        }
        let valid = match acceptable {
            Some(acceptable) if !acceptable.contains(&PolicyId::any()) => {
                self.intersect(acceptable)
            }
            _ => self.level.iter().map(|node| node.valid(&node.policy, &node.domains)).collect(),
        };
        if explicit_policy == 0 && valid.is_empty() { Err(NoPolicy) } else { Ok(valid) }
    }

    /// §6.1.3 (d) to (f).
    fn process(&mut self, policies: &Policies, any_counts: bool) -> Result<(), NoPolicy> {
        let above = std::mem::take(&mut self.level);
        let mut continued: BTreeMap<&PolicyId, Vec<&Node>> = BTreeMap::new();
        for node in &above {
            for expected in &node.expected {
                continued.entry(expected).or_default().push(node);
            }
        }
        let any_above: Vec<_> = above.iter().filter(|node| node.policy.is_any()).collect();
        let asserted = policies.asserted.as_deref().unwrap_or_default();
        let mut level = Vec::new();
        for (policy, qualifiers) in asserted.iter().filter(|(policy, _)| !policy.is_any()) {
            let parents = continued.remove(policy).unwrap_or_else(|| any_above.clone());
            if !parents.is_empty() {
                level.push(Node::below(policy, &parents, qualifiers));
            }
        }
        let any = asserted.iter().find(|(policy, _)| policy.is_any());
        if let Some((_, qualifiers)) = any.filter(|_| any_counts) {
            for (policy, parents) in continued {
                level.push(Node::below(policy, &parents, qualifiers));
            }
        }
        self.level = level;
        if self.explicit_policy == 0 && self.level.is_empty() { Err(NoPolicy) } else { Ok(()) }
    }

    /// §6.1.4 (b).
    fn map(&mut self, policies: &Policies) {
        for (from, to) in &policies.mapped {
            if self.policy_mapping == 0 {
                self.level.retain(|node| node.policy != *from);
            } else if let Some(node) = self.level.iter_mut().find(|node| node.policy == *from) {
                node.expected.clone_from(to);
            } else if let Some(any) = self.level.iter().find(|node| node.policy.is_any()) {
                let mut node = Node {
                    policy: from.clone(),
                    expected: Vec::new(),
                    domains: BTreeSet::from([from.clone()]),
                    qualifiers: any.qualifiers.clone(),
                };
                node.expected.clone_from(to);
                self.level.push(node);
            }
        }
    }

    /// §6.1.5 (g)(iii): what of the newest level stands for an acceptable policy.
    fn intersect(&self, acceptable: &BTreeSet<PolicyId>) -> Vec<ValidPolicy> {
        let mut valid = Vec::new();
        let mut taken = BTreeSet::new();
        for node in self.level.iter().filter(|node| !node.policy.is_any()) {
            let domains: BTreeSet<_> = node.domains.intersection(acceptable).cloned().collect();
            taken.extend(node.domains.iter().cloned());
            if !domains.is_empty() {
                valid.push(node.valid(&node.policy, &domains));
            }
        }
        if let Some(any) = self.level.iter().find(|node| node.policy.is_any()) {
            let others = acceptable.difference(&taken);
            valid.extend(others.map(|policy| any.valid(policy, &BTreeSet::from([policy.clone()]))));
        }
        valid
    }
}

impl Node {
    /// A node below `parents`, of which there is one if it is anyPolicy; a child of that starts a
    /// domain of its own.
    fn below(policy: &PolicyId, parents: &[&Self], qualifiers: &Arc<Qualifiers>) -> Self {
        let mut domains = BTreeSet::new();
        let mut all: Vec<Arc<Qualifiers>> = Vec::new();
        for parent in parents {
            domains.extend(parent.domains.iter().cloned());
            if parent.policy.is_any() && !policy.is_any() {
                domains.insert(policy.clone());
            }
            for inherited in &parent.qualifiers {
                if !all.iter().any(|known| Arc::ptr_eq(known, inherited)) {
                    all.push(inherited.clone());
                }
            }
        }
        all.push(qualifiers.clone());
        Self { policy: policy.clone(), expected: vec![policy.clone()], domains, qualifiers: all }
    }

    fn valid(&self, policy: &PolicyId, domains: &BTreeSet<PolicyId>) -> ValidPolicy {
        ValidPolicy {
            policy: policy.clone(),
            domains: domains.iter().cloned().collect(),
            notices: self.qualifiers.iter().flat_map(|q| q.notices.iter().cloned()).collect(),
            statements: self.qualifiers.iter().flat_map(|q| q.statements.iter().cloned()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> PolicyId {
        format!("2.16.704.{number}").parse().unwrap()
    }

    fn policies(asserted: &[usize], mapped: &[(usize, usize)]) -> Policies {
        let policy = |number: &usize| if *number == 0 { PolicyId::any() } else { id(*number) };
        let mut policies = Policies {
            asserted: Some(asserted.iter().map(|n| (policy(n), Arc::default())).collect()),
            ..Policies::default()
        };
        for (from, to) in mapped {
            policies.mapped.entry(id(*from)).or_default().push(id(*to));
        }
        policies
    }

    /// What the last certificate is valid for, each with its domains.
    fn run(
        initial: &InitialPolicies,
        authorities: &[Policies],
        target: &Policies,
    ) -> Result<Vec<(PolicyId, Vec<PolicyId>)>, NoPolicy> {
        let mut state = PolicyState::new(initial, authorities.len() + 1);
        authorities.iter().try_for_each(|authority| state.pass(authority, false))?;
        let valid = state.finish(target, initial.acceptable.as_ref())?;
        Ok(valid.into_iter().map(|valid| (valid.policy, valid.domains)).collect())
    }

    fn asks(acceptable: &[usize]) -> InitialPolicies {
        InitialPolicies {
            acceptable: Some(acceptable.iter().map(|number| id(*number)).collect()),
            explicit_policy: true,
            ..InitialPolicies::default()
        }
    }

    #[test]
    fn identifiers_are_read_and_written() {
        for text in ["2.16.704.1.1", "1.2.840.113549", "0.39", "2.999.4294967295", "2.5.29.32.0"] {
            assert_eq!(text.parse::<PolicyId>().unwrap().to_string(), text);
        }
        for text in ["", "1", "3.1", "1.40", "1.2.", "1.a", "1.2.4294967296", "-1.2"] {
            assert!(text.parse::<PolicyId>().is_err(), "{text}");
        }
        assert!("2.5.29.32.0".parse::<PolicyId>().unwrap().is_any());
    }

    #[test]
    fn a_policy_must_hold_along_the_whole_path() {
        let ca = [policies(&[1, 2], &[])];
        assert_eq!(run(&asks(&[1]), &ca, &policies(&[1], &[])), Ok(vec![(id(1), vec![id(1)])]));
        assert_eq!(run(&asks(&[2]), &ca, &policies(&[1], &[])), Err(NoPolicy));
        assert_eq!(run(&asks(&[3]), &ca, &policies(&[3], &[])), Err(NoPolicy));
        assert_eq!(run(&asks(&[1]), &ca, &Policies::default()), Err(NoPolicy));
        let nothing = InitialPolicies::default();
        assert_eq!(run(&nothing, &ca, &Policies::default()), Ok(vec![]));
        let explicit = Policies { require_explicit: Some(0), ..policies(&[1], &[]) };
        assert_eq!(run(&nothing, &[explicit], &policies(&[2], &[])), Err(NoPolicy));
    }

    #[test]
    fn a_mapped_policy_stands_for_the_first_one() {
        let ca = [policies(&[1], &[(1, 7)])];
        let target = policies(&[7], &[]);
        assert_eq!(run(&asks(&[1]), &ca, &target), Ok(vec![(id(7), vec![id(1)])]));
        assert_eq!(run(&asks(&[7]), &ca, &target), Err(NoPolicy));
        let inhibited = InitialPolicies { mapping_inhibited: true, ..asks(&[1]) };
        assert_eq!(run(&inhibited, &ca, &target), Err(NoPolicy));
        let through_any = [policies(&[0], &[(1, 7)])];
        assert_eq!(run(&asks(&[1]), &through_any, &target), Ok(vec![(id(7), vec![id(1)])]));
    }

    #[test]
    fn any_policy_stands_for_all_unless_inhibited() {
        let ca = [policies(&[0], &[])];
        assert_eq!(run(&asks(&[1]), &ca, &policies(&[1], &[])), Ok(vec![(id(1), vec![id(1)])]));
        assert_eq!(run(&asks(&[1]), &ca, &policies(&[0], &[])), Ok(vec![(id(1), vec![id(1)])]));
        let inhibited = InitialPolicies { any_policy_inhibited: true, ..asks(&[1]) };
        assert_eq!(run(&inhibited, &ca, &policies(&[1], &[])), Err(NoPolicy));
    }

    /// The tree of RFC 5280 would have 30⁷ leaves here (CVE-2023-0464).
    #[test]
    fn hostile_mappings_cost_little() {
        let numbers: Vec<_> = (1..=POLICIES_MAX).collect();
        let pairs: Vec<_> =
            numbers.iter().flat_map(|from| numbers.iter().map(move |to| (*from, *to))).collect();
        let authorities: Vec<_> = (0..7).map(|_| policies(&numbers, &pairs)).collect();
        let valid = run(&asks(&[1]), &authorities, &policies(&numbers, &[])).unwrap();
        assert_eq!(valid.len(), POLICIES_MAX);
    }

    #[test]
    fn an_extension_with_too_many_or_doubled_policies_is_unreadable() {
        use crate::signature::asn1::encode;
        let list = |numbers: &[usize]| {
            let info =
                |n: &usize| encode(tag::SEQUENCE, &[&encode(tag::OBJECT_IDENTIFIER, &[&id(*n).0])]);
            encode(tag::SEQUENCE, &[&numbers.iter().flat_map(info).collect::<Vec<_>>()])
        };
        let all: Vec<_> = (1..=POLICIES_MAX + 1).collect();
        let read = |numbers: &[usize]| Policies::default().read_asserted(&list(numbers));
        assert_eq!(read(&all[1..]), Ok(()));
        assert_eq!(read(&all), Err(Malformed));
        assert_eq!(read(&[1, 1]), Err(Malformed));
    }
}
