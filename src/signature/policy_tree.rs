//! The valid policy tree as RFC 5280 §6.1 writes it, word by word, to hold the graph against it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::policy::{InitialPolicies, Policies, PolicyId, PolicyState};

type Ids = BTreeSet<PolicyId>;

struct Node {
    depth: usize,
    policy: PolicyId,
    expected: Ids,
    parent: Option<usize>,
    deleted: bool,
}

#[derive(Default)]
struct Tree(Vec<Node>);

impl Tree {
    fn add(&mut self, depth: usize, policy: &PolicyId, expected: Ids, parent: Option<usize>) {
        self.0.push(Node { depth, policy: policy.clone(), expected, parent, deleted: false });
    }

    fn at(&self, depth: usize) -> Vec<usize> {
        let alive = |i: &usize| self.0[*i].depth == depth && !self.0[*i].deleted;
        (0..self.0.len()).filter(alive).collect()
    }

    fn named(&self, depth: usize, policy: &PolicyId) -> Vec<usize> {
        self.at(depth).into_iter().filter(|i| self.0[*i].policy == *policy).collect()
    }

    fn children(&self, parent: usize) -> Vec<usize> {
        let child = |i: &usize| self.0[*i].parent == Some(parent) && !self.0[*i].deleted;
        (0..self.0.len()).filter(child).collect()
    }

    /// Deletes nodes above `depth` without children until there are none.
    fn prune(&mut self, depth: usize) {
        for above in (0..depth).rev() {
            for node in self.at(above) {
                self.0[node].deleted |= self.children(node).is_empty();
            }
        }
    }

    fn delete_below(&mut self, node: usize) {
        for child in self.children(node) {
            self.delete_below(child);
        }
        self.0[node].deleted = true;
    }

    fn is_null(&self) -> bool {
        self.0.iter().all(|node| node.deleted)
    }

    /// §6.1.3 (d) and (e).
    fn process(&mut self, depth: usize, asserted: Option<&Ids>, any_counts: bool) {
        let any = PolicyId::any();
        let Some(asserted) = asserted else {
            return self.0.iter_mut().for_each(|node| node.deleted = true);
        };
        for policy in asserted.iter().filter(|policy| **policy != any) {
            let mut parents = self.at(depth - 1);
            parents.retain(|i| self.0[*i].expected.contains(policy));
            if parents.is_empty() {
                parents = self.named(depth - 1, &any);
            }
            for parent in parents {
                self.add(depth, policy, Ids::from([policy.clone()]), Some(parent));
            }
        }
        if asserted.contains(&any) && any_counts {
            for parent in self.at(depth - 1) {
                for policy in self.0[parent].expected.clone() {
                    let known = self.children(parent).iter().any(|c| self.0[*c].policy == policy);
                    if !known {
                        self.add(depth, &policy, Ids::from([policy.clone()]), Some(parent));
                    }
                }
            }
        }
        self.prune(depth);
    }

    /// §6.1.4 (b).
    fn map(&mut self, depth: usize, mapped: &BTreeMap<PolicyId, Vec<PolicyId>>, allowed: bool) {
        for (from, to) in mapped {
            let nodes = self.named(depth, from);
            if !allowed {
                nodes.iter().for_each(|node| self.0[*node].deleted = true);
                self.prune(depth);
                continue;
            }
            let to: Ids = to.iter().cloned().collect();
            for node in &nodes {
                self.0[*node].expected = to.clone();
            }
            let any = self.named(depth, &PolicyId::any());
            if let (true, Some(any)) = (nodes.is_empty(), any.first()) {
                self.add(depth, from, to, self.0[*any].parent);
            }
        }
    }

    /// §6.1.5 (g)(iii).
    fn intersect(&mut self, depth: usize, acceptable: &Ids) {
        let any = PolicyId::any();
        let starts = |tree: &Self| -> Vec<usize> {
            let below_any = |i: &usize| {
                let node = &tree.0[*i];
                !node.deleted && node.parent.is_some_and(|p| tree.0[p].policy == any)
            };
            (0..tree.0.len()).filter(below_any).collect()
        };
        for node in starts(self) {
            let policy = &self.0[node].policy;
            if *policy != any && !acceptable.contains(policy) {
                self.delete_below(node);
            }
        }
        if let Some(&leaf) = self.named(depth, &any).first() {
            let known: Ids = starts(self).iter().map(|i| self.0[*i].policy.clone()).collect();
            for policy in acceptable.difference(&known) {
                self.add(depth, policy, Ids::new(), self.0[leaf].parent);
            }
            self.0[leaf].deleted = true;
        }
        self.prune(depth);
    }
}

struct Certificate {
    policies: Policies,
    self_issued: bool,
}

/// The policies of the leaves, or `None` if the path fails.
fn by_tree(initial: &InitialPolicies, path: &[Certificate]) -> Option<Ids> {
    let length = path.len();
    let start = |now: bool| if now { 0 } else { length + 1 };
    let mut explicit = start(initial.explicit_policy);
    let mut mapping = start(initial.mapping_inhibited);
    let mut any = start(initial.any_policy_inhibited);
    let mut tree = Tree::default();
    tree.add(0, &PolicyId::any(), Ids::from([PolicyId::any()]), None);
    for (index, Certificate { policies, self_issued }) in path.iter().enumerate() {
        let (depth, last) = (index + 1, index + 1 == length);
        let asserted: Option<Ids> =
            policies.asserted.as_ref().map(|list| list.iter().map(|(id, _)| id.clone()).collect());
        if !tree.is_null() {
            tree.process(depth, asserted.as_ref(), any > 0 || (!last && *self_issued));
        }
        if explicit == 0 && tree.is_null() {
            return None;
        }
        if last {
            break;
        }
        tree.map(depth, &policies.mapped, mapping > 0);
        for state in [&mut explicit, &mut mapping, &mut any] {
            *state = state.saturating_sub(usize::from(!self_issued));
        }
        let lower = |state: &mut usize, limit: Option<u32>| {
            *state = limit.map_or(*state, |limit| (*state).min(usize::try_from(limit).unwrap()));
        };
        lower(&mut explicit, policies.require_explicit);
        lower(&mut mapping, policies.inhibit_mapping);
        lower(&mut any, policies.inhibit_any);
    }
    explicit = explicit.saturating_sub(1);
    if path.last()?.policies.require_explicit == Some(0) {
        explicit = 0;
    }
    if let Some(acceptable) = &initial.acceptable {
        tree.intersect(length, acceptable);
    }
    let leaves: Ids = tree.at(length).iter().map(|i| tree.0[*i].policy.clone()).collect();
    (explicit > 0 || !leaves.is_empty()).then_some(leaves)
}

fn by_graph(initial: &InitialPolicies, path: &[Certificate]) -> Option<Ids> {
    let mut state = PolicyState::new(initial, path.len());
    let (target, authorities) = path.split_last()?;
    for authority in authorities {
        state.pass(&authority.policies, authority.self_issued).ok()?;
    }
    let valid = state.finish(&target.policies, initial.acceptable.as_ref()).ok()?;
    Some(valid.into_iter().map(|valid| valid.policy).collect())
}

fn policy(number: u8) -> PolicyId {
    if number == 0 { PolicyId::any() } else { format!("2.16.704.{number}").parse().unwrap() }
}

fn certificate() -> impl Strategy<Value = Certificate> {
    let asserted = prop::option::weighted(0.9, prop::collection::btree_set(0..5_u8, 1..4));
    let mapped = prop::collection::vec((1..5_u8, 1..5_u8), 0..4);
    let limit = || prop::option::weighted(0.2, 0..3_u32);
    (asserted, mapped, limit(), limit(), limit(), any::<bool>()).prop_map(
        |(asserted, mapped, require_explicit, inhibit_mapping, inhibit_any, self_issued)| {
            let asserted =
                asserted.map(|set| set.into_iter().map(|n| (policy(n), Arc::default())).collect());
            let mut pairs = BTreeMap::<_, Vec<_>>::new();
            for (from, to) in mapped {
                pairs.entry(policy(from)).or_default().push(policy(to));
            }
            let policies = Policies {
                asserted,
                mapped: pairs,
                require_explicit,
                inhibit_mapping,
                inhibit_any,
            };
            Certificate { policies, self_issued }
        },
    )
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, self-issued {}", self.policies, self.self_issued)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn the_graph_says_what_the_tree_says(
        path in prop::collection::vec(certificate(), 1..6),
        acceptable in prop::option::of(prop::collection::btree_set(1..5_u8, 1..4)),
        explicit_policy in any::<bool>(),
        mapping_inhibited in prop::bool::weighted(0.1),
        any_policy_inhibited in prop::bool::weighted(0.1),
    ) {
        let acceptable = acceptable.map(|set| set.into_iter().map(policy).collect());
        let initial = InitialPolicies {
            acceptable,
            explicit_policy,
            mapping_inhibited,
            any_policy_inhibited,
        };
        prop_assert_eq!(by_graph(&initial, &path), by_tree(&initial, &path));
    }
}
