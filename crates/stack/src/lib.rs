//! A TCP/IP stack within the program, for peers inside a program whose system allows no private network
//! namespace. It contains no Python.
//!
//! `stack` owns the thread; `engine` is its loop and dispatches packets. TCP is smoltcp's, with one socket
//! set per stream, so that no cost grows with the number of streams; what it may see, how much it may hold and
//! how much it may send is decided here (`sequence`, `memory` and `window`, `recovery`). UDP and ICMP are small
//! enough to be implemented here. To the program a stream is one end of a socket pair.

pub mod addresses;
pub mod attempt;
pub mod buffers;
pub mod counts;
pub mod cubic;
pub mod datagrams;
pub mod echo;
pub mod engine;
pub mod events;
pub mod fragments;
pub mod link;
pub mod listener;
pub mod local;
pub mod mapping;
pub mod memory;
pub mod net;
pub mod numbers;
pub mod orphans;
pub mod packet;
pub mod path;
pub mod ports;
pub mod recovery;
pub mod scoreboard;
pub mod segment;
pub mod sequence;
pub mod shared;
pub mod socket_pair;
pub mod stack;
pub mod stream;
pub mod streams;
pub mod time_wait;
pub mod timers;
pub mod unconnected;
pub mod window;
