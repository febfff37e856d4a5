//! What was asked for in the way of folding: `--icf` and its relatives, in the words of lld's manual.

/// `--icf`: which sections may become one with their twins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Icf {
    /// None.
    #[default]
    None,
    /// Those whose address nobody can tell from that of a twin.
    Safe,
    /// All code, and data whose address nobody can tell from that of a twin.
    All,
}

/// Everything about folding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Folding {
    /// `--icf`.
    pub icf: Icf,
    /// `--print-icf-sections`: list what became one.
    pub print_icf_sections: bool,
    /// `--keep-unique`: symbols whose sections stay apart.
    pub keep_unique: Vec<Vec<u8>>,
    /// `--ignore-data-address-equality`: under `--icf=all` read-only data need not have addresses of its own, and a
    /// copy of a protected variable may live at another address than the original.
    pub ignore_data_address_equality: bool,
}
