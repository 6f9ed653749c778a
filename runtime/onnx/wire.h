#pragma once

#include "runtime/core/files.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pli {

/// A serialized protobuf message in pieces: bytes of its own and, between them, large payloads that it only points to
/// and that must outlive it. Protobuf lets the fields of a message follow each other in any order, so messages are put
/// together by appending.
class Wire {
 public:
  /// Fields that are serialized already.
  void append(std::string_view fields);

  /// The fields of another message.
  void append(Wire message);

  /// A field of bytes; small ones are copied.
  void append_payload(int field, std::span<const std::byte> payload);

  /// A field that is a message.
  void append_message(int field, Wire message);

  int64_t size() const { return size_; }

  void write_to(AtomicFile& file) const;
  std::string join() const;

 private:
  struct Piece {
    std::string bytes;
    std::span<const std::byte> payload;  // follows the bytes
  };

  void append_header(int field, int64_t length);
  std::string& open_bytes();

  std::vector<Piece> pieces_;
  int64_t size_ = 0;
};

}  // namespace pli
