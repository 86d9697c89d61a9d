//! The few words under which differences are counted.

use super::Drift;

/// What was done to our table, coarsely: there are never more words than these, whatever is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The table, its chain or a set was deleted.
    Deleted,
    /// Rules or elements were taken out.
    Flushed,
    /// The table is dormant, or its chain is no longer at its hook.
    Disabled,
    /// Who owns the table.
    Owner,
    /// Something is there that is not ours.
    Added,
    /// All is there, in another order.
    Reordered,
    /// A part of ours says something else.
    Changed,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Deleted,
        Self::Flushed,
        Self::Disabled,
        Self::Owner,
        Self::Added,
        Self::Reordered,
        Self::Changed,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Flushed => "flushed",
            Self::Disabled => "disabled",
            Self::Owner => "owner",
            Self::Added => "added",
            Self::Reordered => "reordered",
            Self::Changed => "changed",
        }
    }
}

impl Drift {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::TableMissing | Self::ChainMissing { .. } | Self::SetMissing { .. } => {
                Kind::Deleted
            }
            Self::RuleMissing { .. } | Self::ElementsMissing { .. } => Kind::Flushed,
            Self::TableDormant | Self::ChainDetached { .. } => Kind::Disabled,
            Self::TableOwned { .. } | Self::TableUnowned => Kind::Owner,
            Self::ChainUnexpected { .. }
            | Self::SetUnexpected { .. }
            | Self::ElementsUnexpected { .. }
            | Self::RuleInserted { .. }
            | Self::RuleUnexpected { .. }
            | Self::MoreRules { .. } => Kind::Added,
            Self::RulesReordered { .. } | Self::Unsorted { .. } => Kind::Reordered,
            Self::TableChanged(_)
            | Self::ChainAttached { .. }
            | Self::ChainChanged(_)
            | Self::SetChanged { .. }
            | Self::RuleChanged { .. }
            | Self::RuleRenamed { .. } => Kind::Changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_most_often_has_the_word_that_one_expects() {
        let rule = "anetcon float".to_owned();
        let cases = [
            (Drift::TableMissing, "deleted"),
            (Drift::RuleMissing { rule: rule.clone() }, "flushed"),
            (Drift::TableDormant, "disabled"),
            (Drift::TableUnowned, "owner"),
            (Drift::RuleInserted { position: 0, text: "accept".to_owned() }, "added"),
            (Drift::RulesReordered { moved: vec![rule.clone()] }, "reordered"),
            (Drift::RuleChanged { rule, now: "accept".to_owned() }, "changed"),
        ];
        assert_eq!(cases.each_ref().map(|(drift, _)| drift.kind()), Kind::ALL);
        for (drift, word) in cases {
            assert_eq!(drift.kind().as_str(), word, "{drift:?}");
        }
    }
}
