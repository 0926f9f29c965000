//! Runs of packets of any lengths: every variant of the cipher gives the same bytes.
#![no_main]

use holloway_aead::{Key, TAG, Variant, nonce};

libfuzzer_sys::fuzz_target!(|input: ([u8; 32], Vec<(u64, Vec<u8>)>)| {
    let (key, texts) = input;
    let sealed = |variant: Variant| {
        let mut packets = texts.clone();
        packets.iter_mut().for_each(|(_, packet)| packet.extend([0; TAG]));
        let each = packets.iter_mut().map(|(counter, packet)| (nonce(*counter), &mut packet[..]));
        Key::with(&key, variant).seal(each);
        packets
    };
    if Variant::Avx512.available() {
        assert_eq!(sealed(Variant::Ring), sealed(Variant::Avx512));
    }
});
