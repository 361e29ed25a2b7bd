//! Which kinds of systems there are. Each is a folder beside this file that has a `KIND`, and a line here.

/// Hands the names of the folders to a macro.
macro_rules! kinds {
    ($declare:ident) => {
        $declare! {
            woocommerce;
            odoo;
            #[cfg(test)] toy;
        }
    };
}

macro_rules! list {
    ($($(#[$when:meta])* $name:ident;)+) => {
        /// In the order in which messages name them.
        pub(super) static KINDS: &[&dyn super::kind::Kind] = &[$($(#[$when])* &super::$name::KIND),+];
    };
}

pub(super) use kinds;
kinds!(list);
