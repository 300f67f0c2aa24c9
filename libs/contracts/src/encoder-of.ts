import { BinaryWriter } from "@bufbuild/protobuf/wire";

interface Codec<Message> {
  encode(message: Message, writer: BinaryWriter): BinaryWriter;
}

/**
 * Encodes many messages of one kind with one writer: a new writer grows to the length of each message, copy by copy. It keeps the memory of the
 * longest.
 */
export function encoderOf<Message>(codec: Codec<Message>): (message: Message) => Uint8Array<ArrayBuffer> {
  let writer = new BinaryWriter();
  return (message) => {
    try {
      return codec.encode(message, writer).finish();
    } catch (error) {
      // What has been written so far would stand before the next message.
      writer = new BinaryWriter();
      throw error;
    }
  };
}
