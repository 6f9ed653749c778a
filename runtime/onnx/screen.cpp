#include "runtime/onnx/screen.h"

#include "runtime/core/files.h"
#include "runtime/onnx/tensor_proto.h"

#include <charconv>
#include <functional>
#include <map>
#include <tuple>

namespace pli {

namespace {

/// Where the payload of an external tensor lies.
struct Range {
  std::string location;
  int64_t offset = 0;
  std::optional<int64_t> length;
};

int64_t parse_count(const std::string& key, const std::string& text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < 0)
    fail(ErrorCode::kInvalidModel, "external data {} \"{}\" is not a number of bytes", key, text);
  return value;
}

/// Keys beside the three are ignored: nothing depends on them.
Range parse_range(const onnx::TensorProto& tensor) {
  Range range;
  std::optional<std::string> location;
  std::optional<int64_t> offset;
  const auto once = [](const std::string& key, const auto& slot) {
    if (slot) fail(ErrorCode::kInvalidModel, "external data has two entries for {}", key);
  };
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    if (entry.key() == "location") {
      once(entry.key(), location);
      location = entry.value();
    } else if (entry.key() == "offset") {
      once(entry.key(), offset);
      offset = parse_count(entry.key(), entry.value());
    } else if (entry.key() == "length") {
      once(entry.key(), range.length);
      range.length = parse_count(entry.key(), entry.value());
    }
  }
  if (!location) fail(ErrorCode::kInvalidModel, "external data has no location");
  range.location = *location;
  range.offset = offset.value_or(0);
  return range;
}

/// The one way to write a location that stays inside of the model's folder.
std::string normal_form(const std::string& location) {
  return std::filesystem::path(location).lexically_normal().string();
}

/// Visits every tensor of a model that is marked as external, wherever it hides, and counts levels on the way.
class Walk {
 public:
  /// `in_graph`: an initializer or a tensor attribute of the graph or of one nested in it, which becomes a Tensor.
  Walk(const Limits& limits, std::function<void(onnx::TensorProto&, bool in_graph)> visit)
      : limits_(limits), visit_(std::move(visit)) {}

  void model(onnx::ModelProto& proto) {
    in_graph_ = true;
    if (proto.has_graph()) graph(*proto.mutable_graph(), 0);
    in_graph_ = false;
    for (onnx::FunctionProto& function : *proto.mutable_functions())
      with_context(fmt::format("function \"{}\"", function.name()), [&] { nodes(*function.mutable_node(), 0); });
    for (onnx::TrainingInfoProto& training : *proto.mutable_training_info()) {
      if (training.has_initialization()) graph(*training.mutable_initialization(), 0);
      if (training.has_algorithm()) graph(*training.mutable_algorithm(), 0);
    }
  }

 private:
  void graph(onnx::GraphProto& proto, int depth) {
    if (depth > limits_.graph_depth)
      fail(ErrorCode::kResourceLimit, "graphs are nested deeper than the limit of {}", limits_.graph_depth);
    for (onnx::TensorProto& initializer : *proto.mutable_initializer()) tensor(initializer, in_graph_);
    for (onnx::SparseTensorProto& initializer : *proto.mutable_sparse_initializer()) sparse(initializer);
    nodes(*proto.mutable_node(), depth);
  }

  void nodes(google::protobuf::RepeatedPtrField<onnx::NodeProto>& protos, int depth) {
    for (onnx::NodeProto& node : protos) {
      if (node.attribute_size() == 0) continue;
      in_node(describe(node), [&] {
        for (onnx::AttributeProto& each : *node.mutable_attribute()) attribute(each, depth);
      });
    }
  }

  void attribute(onnx::AttributeProto& proto, int depth) {
    if (proto.has_t()) tensor(*proto.mutable_t(), in_graph_);
    for (onnx::TensorProto& each : *proto.mutable_tensors()) tensor(each, false);
    if (proto.has_sparse_tensor()) sparse(*proto.mutable_sparse_tensor());
    for (onnx::SparseTensorProto& each : *proto.mutable_sparse_tensors()) sparse(each);
    if (proto.has_g()) graph(*proto.mutable_g(), depth + 1);
    for (onnx::GraphProto& each : *proto.mutable_graphs()) graph(each, depth + 1);
  }

  void sparse(onnx::SparseTensorProto& proto) {
    if (proto.has_values()) tensor(*proto.mutable_values(), false);
    if (proto.has_indices()) tensor(*proto.mutable_indices(), false);
  }

  void tensor(onnx::TensorProto& proto, bool in_graph) {
    if (proto.data_location() == onnx::TensorProto::EXTERNAL) {
      if (proto.name().empty())
        visit_(proto, in_graph);
      else
        with_context(fmt::format("tensor \"{}\"", proto.name()), [&] { visit_(proto, in_graph); });
    } else {
      // Entries without the mark would be written back as if they meant something.
      proto.clear_external_data();
    }
  }

  const Limits& limits_;
  std::function<void(onnx::TensorProto&, bool)> visit_;
  bool in_graph_ = false;
};

/// Reads the payloads of external tensors of one model.
class ExternalReader {
 public:
  ExternalReader(std::span<const std::filesystem::path> folders, const Limits& limits)
      : folders_(folders), limits_(limits) {}

  /// `may_share`: what becomes of the tensor can share its payload.
  void bring_in(onnx::TensorProto& proto, bool may_share) {
    if (folders_.empty()) fail(ErrorCode::kInvalidModel, "a model that is read from memory can't have external data");
    if (has_inline_data(proto))
      fail(ErrorCode::kInvalidModel, "the payload is given twice, inline and as external data");
    const int64_t elements = checked_elements(proto, limits_);
    const auto dtype = static_cast<DataType>(proto.data_type());
    if (dtype == DataType::kString) fail(ErrorCode::kInvalidModel, "strings can't be external data");
    const Range range = parse_range(proto);
    const InputFile& source = open(range.location);
    const std::optional<int64_t> wanted = packed_bytes(dtype, elements);
    const int64_t length = checked_length(range, wanted, source.size());
    if (may_share && may_refer(proto)) {
      const auto [known, first] =
          shared_.try_emplace({file_name_, range.offset, length}, payloads_.size() + wanted_.size());
      if (first) {
        count(length);
        wanted_.push_back({range.offset, length});
      }
      refer_to_shared(proto, known->second);
      return;
    }
    count(length);
    proto.mutable_raw_data()->resize(static_cast<size_t>(length));
    source.read(range.offset, std::as_writable_bytes(std::span(*proto.mutable_raw_data())));
    proto.clear_external_data();
    proto.clear_data_location();
  }

  SharedPayloads take_payloads() {
    read_wanted();
    return std::move(payloads_);
  }

 private:
  /// Ranges that overlap would let a small file fill the memory.
  void count(int64_t length) {
    constexpr int64_t kFreeBytes = int64_t{64} << 20;
    constexpr int64_t kMostTimes = 2;
    bytes_ += length;  // can't overflow: it is checked after each term, and a term is at most a file's size
    if (bytes_ > limits_.external_bytes)
      fail(ErrorCode::kResourceLimit, "more external data than the limit of {} bytes", limits_.external_bytes);
    if ((bytes_ - kFreeBytes) / kMostTimes > file_bytes_)
      fail(ErrorCode::kResourceLimit, "external tensors overlap: they take {} bytes of files of {}", bytes_,
           file_bytes_);
  }

  /// `wanted`: what the tensor takes; nothing when its data type is not known.
  static int64_t checked_length(const Range& range, std::optional<int64_t> wanted, int64_t file_size) {
    if (range.offset > file_size)
      fail(ErrorCode::kInvalidModel, "external data offset {} is behind the end of \"{}\" ({} bytes)", range.offset,
           range.location, file_size);
    const int64_t length = range.length.value_or(wanted.value_or(file_size - range.offset));
    if (wanted && length != *wanted)
      fail(ErrorCode::kInvalidModel, "external data has {} bytes; the tensor takes {}", length, *wanted);
    if (length > file_size - range.offset)
      fail(ErrorCode::kInvalidModel, "external data of {} bytes at offset {} passes the end of \"{}\" ({} bytes)",
           length, range.offset, range.location, file_size);
    return length;
  }

  const InputFile& open(const std::string& location) {
    if (!file_ || location_ != location) {
      read_wanted();
      file_.reset();
      file_.emplace(InputFile::inside(folders_, location));
      location_ = location;
      file_name_ = normal_form(location);
      if (files_.insert(file_name_).second)
        file_bytes_ = checked_add(file_bytes_, file_->size()).value_or(std::numeric_limits<int64_t>::max());
    }
    return *file_;
  }

  void read_wanted() {
    if (file_) read_payloads(*file_, wanted_, payloads_);
    wanted_.clear();
  }

  std::span<const std::filesystem::path> folders_;
  const Limits& limits_;
  int64_t bytes_ = 0;       // that have been read or are wanted
  int64_t file_bytes_ = 0;  // of all files together
  std::set<std::string> files_;
  std::optional<InputFile> file_;  // the last one opened: most models have one
  std::string location_;           // as the model names it
  std::string file_name_;          // the same in its normal form
  SharedPayloads payloads_;
  std::vector<PayloadRange> wanted_;                                    // of that file, to become the next payloads
  std::map<std::tuple<std::string, int64_t, int64_t>, size_t> shared_;  // file, offset, length -> which payload
};

}  // namespace

Screened screen(onnx::ModelProto& model, std::span<const std::filesystem::path> folders, const Limits& limits) {
  ExternalReader reader(folders, limits);
  Screened screened;
  Walk(limits, [&](onnx::TensorProto& tensor, bool in_graph) {
    screened.has_external_data = true;
    reader.bring_in(tensor, in_graph);
  }).model(model);
  screened.payloads = reader.take_payloads();
  return screened;
}

std::set<std::string> external_locations(onnx::ModelProto& model, const Limits& limits) {
  std::set<std::string> locations;
  Walk(limits, [&](const onnx::TensorProto& tensor, bool) {
    locations.insert(normal_form(parse_range(tensor).location));
  }).model(model);
  return locations;
}

}  // namespace pli
