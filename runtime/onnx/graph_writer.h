#pragma once

#include "runtime/ir/graph.h"
#include "runtime/onnx/wire.h"

#include <map>
#include <utility>
#include <vector>

namespace pli {

/// The second file of a model, as it is laid out.
struct ExternalFile {
  struct Part {
    int64_t offset;
    std::span<const std::byte> payload;
  };

  std::string location;     // its name in the model
  bool attributes = false;  // tensors of attributes go there too, not only initializers
  std::vector<Part> parts;
  int64_t size = 0;
  std::map<std::pair<const std::byte*, size_t>, int64_t> offsets;  // of payloads by where and how long they are

  /// Lays `payload` out, unless it is there already, and returns its offset.
  int64_t add(std::span<const std::byte> payload);
};

/// A GraphProto of the graph. The payloads of large tensors stay where they are: the graph must outlive the result.
/// `external`: null when everything goes into the one file.
Wire write_graph(const ir::Graph& graph, ExternalFile* external);

}  // namespace pli
