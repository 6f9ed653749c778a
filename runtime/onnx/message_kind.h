#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace pli {

/// What counts of a kind of message before it is read.
struct MessageKind {
  int64_t bytes = 0;                                               // that an empty one takes in memory
  std::vector<std::pair<int, const MessageKind& (*)()>> messages;  // its fields that are messages again, by number
};

/// Of ModelProto, TensorProto, SequenceProto, OptionalProto and whatever they hold.
template <class Message>
const MessageKind& kind_of();

}  // namespace pli
