//! One orchestra: which records count, and what they come to.

pub mod view;
