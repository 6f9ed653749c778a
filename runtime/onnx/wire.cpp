#include "runtime/onnx/wire.h"

#include <iterator>

namespace pli {

namespace {

/// Payloads below this are copied: a piece of its own would cost more.
constexpr size_t kCopiedBytes = 4096;

constexpr int kLengthDelimited = 2;

}  // namespace

std::string& Wire::open_bytes() {
  if (pieces_.empty() || !pieces_.back().payload.empty()) pieces_.emplace_back();
  return pieces_.back().bytes;
}

void Wire::append(std::string_view fields) {
  open_bytes() += fields;
  size_ += static_cast<int64_t>(fields.size());
}

void Wire::append_header(int field, int64_t length) {
  std::string header;
  const auto put_varint = [&](uint64_t value) {
    for (; value >= 0x80; value >>= 7) header += static_cast<char>(value | 0x80);
    header += static_cast<char>(value);
  };
  put_varint(static_cast<uint64_t>(field) << 3 | kLengthDelimited);
  put_varint(static_cast<uint64_t>(length));
  append(header);
}

void Wire::append_payload(int field, std::span<const std::byte> payload) {
  append_header(field, static_cast<int64_t>(payload.size()));
  if (payload.size() < kCopiedBytes) {
    append({reinterpret_cast<const char*>(payload.data()), payload.size()});
    return;
  }
  open_bytes();
  pieces_.back().payload = payload;
  size_ += static_cast<int64_t>(payload.size());
}

void Wire::append(Wire message) {
  if (message.pieces_.empty()) return;
  open_bytes() += message.pieces_.front().bytes;
  pieces_.back().payload = message.pieces_.front().payload;
  pieces_.insert(pieces_.end(), std::move_iterator(message.pieces_.begin() + 1),
                 std::move_iterator(message.pieces_.end()));
  size_ += message.size_;
}

void Wire::append_message(int field, Wire message) {
  append_header(field, message.size_);
  append(std::move(message));
}

void Wire::write_to(AtomicFile& file) const {
  for (const Piece& piece : pieces_) {
    file.write(piece.bytes);
    file.write(piece.payload);
  }
}

std::string Wire::join() const {
  std::string bytes;
  bytes.reserve(static_cast<size_t>(size_));
  for (const Piece& piece : pieces_) {
    bytes += piece.bytes;
    bytes.append(reinterpret_cast<const char*>(piece.payload.data()), piece.payload.size());
  }
  return bytes;
}

}  // namespace pli
