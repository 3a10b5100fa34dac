//! Every bound of this crate in one place, with the reason beside the number. None of them is a
//! time: the same bytes are refused on a slow machine and on a fast one.

/// The largest file that is measured. What people write is a hundredth of it; what is larger was
/// generated or is data.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// How deep brackets may stand in one another. People lose count below ten; a parser that keeps
/// every guess about an unclosed `<` takes gigabytes at ten thousand.
pub const NESTING_MAX: usize = 256;

/// How deep the syntax tree may be: four nodes for each bracket (statement, expression, arguments,
/// list). A chain of operators, calls or `else if` is as deep as it is long.
pub const TREE_DEPTH_MAX: usize = 1024;

/// How many nodes of a tree are looked at. A full file of one-letter tokens has about as many.
pub const NODES_MAX: usize = 1_200_000;

/// How many steps the parser may take, in hundreds. Ordinary code takes 2 to 10 hundreds for a
/// KiB, code that the parser has to guess about up to 100.
pub const PARSER_HUNDREDS_MAX: usize = 12_000;

/// How much of a file a parser is handed at once, in bytes.
pub const CHUNK_BYTES: usize = 4096;

/// How many chunks a parser may ask for. Reading a full file takes 256 and a few more for looking
/// ahead; only what is never closed (a raw string, say) is looked for again and again to the end.
pub const CHUNKS_READ_MAX: usize = 16_384;

/// How many characters other than white space one line can hold after formatting, and how many of
/// one token count: a long text does not make a long function.
pub const LINE_CHARACTERS_MAX: usize = 100;

/// How wide a list in brackets may be on one line, with the spaces between its words. Formatters
/// break it between 60 and 100.
pub const LIST_CHARACTERS_MAX: usize = 80;

/// How wide a statement may be on one line that calls upon a call upon a call.
pub const CHAIN_CHARACTERS_MAX: usize = 80;

/// How many calls make a chain.
pub const CHAIN_CALLS: u32 = 3;

/// How much of a function's name is kept, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
