//! Runs of packets of one length and of any: every variant of the cipher gives the same bytes.
#![no_main]

use holloway_aead::{Key, TAG, Variant, nonce};

/// A run of `count` packets of one length, then packets as they come.
type Input = ([u8; 32], u8, u16, Vec<(u64, Vec<u8>)>);

libfuzzer_sys::fuzz_target!(|input: Input| {
    let (key, count, length, texts) = input;
    let source: Vec<u8> = texts.iter().flat_map(|(_, text)| text.clone()).chain([1]).collect();
    let run = (0..count % 20).map(|number| {
        let bytes = source.iter().cycle().skip(number.into());
        (u64::from(number), bytes.take((length % 1501).into()).copied().collect())
    });
    let texts: Vec<(u64, Vec<u8>)> = run.chain(texts).collect();
    let sealed = |variant: Variant| {
        let mut packets = texts.clone();
        packets.iter_mut().for_each(|(_, packet)| packet.extend([0; TAG]));
        let each = packets.iter_mut().map(|(counter, packet)| (nonce(*counter), &mut packet[..]));
        Key::with(&key, variant).seal(each);
        packets
    };
    for variant in Variant::ALL.into_iter().filter(|variant| variant.available()) {
        assert_eq!(sealed(Variant::Ring), sealed(variant), "{variant:?}");
    }
});
