#include "runtime/onnx/load.h"

#include "runtime/core/files.h"
#include "runtime/onnx/functions.h"
#include "runtime/onnx/graph_reader.h"
#include "runtime/onnx/records.h"
#include "runtime/onnx/screen.h"

#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace pli {

namespace {

constexpr const char kNoModel[] = "not an ONNX model: the file is damaged, cut short, or something else";

/// What the model imports. Before IR version 3 there were no imports, and one operator set.
ir::OpsetImports read_opsets(const onnx::ModelProto& proto) {
  ir::OpsetImports opsets;
  for (const onnx::OperatorSetIdProto& import : proto.opset_import()) {
    const std::string domain = import.domain() == "ai.onnx" ? "" : import.domain();
    if (import.version() < 1)
      fail(ErrorCode::kInvalidModel, "version {} of operator set \"{}\" is not valid", import.version(), domain);
    const auto [imported, added] = opsets.emplace(domain, import.version());
    if (!added && imported->second != import.version())
      fail(ErrorCode::kInvalidModel, "operator set \"{}\" is imported in versions {} and {}", domain, imported->second,
           import.version());
  }
  if (opsets.empty() && proto.ir_version() < 3) opsets.emplace("", 1);
  if (opsets.empty()) fail(ErrorCode::kInvalidModel, "the model imports no operator set");
  return opsets;
}

/// Pins the names that training graphs use; some of them are of values of the main graph.
void pin_trained(const onnx::GraphProto& training, ir::Graph& graph) {
  for (const onnx::ValueInfoProto& output : training.output()) graph.pin(output.name());
  for (const onnx::NodeProto& node : training.node()) {
    for (const std::string& input : node.input()) graph.pin(input);
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) pin_trained(attribute.g(), graph);
      for (const onnx::GraphProto& nested : attribute.graphs()) pin_trained(nested, graph);
    }
  }
}

void pin_trained(const onnx::ModelProto& proto, ir::Graph& graph) {
  for (const onnx::TrainingInfoProto& training : proto.training_info()) {
    pin_trained(training.initialization(), graph);
    pin_trained(training.algorithm(), graph);
    for (const auto* bindings : {&training.initialization_binding(), &training.update_binding()})
      for (const onnx::StringStringEntryProto& binding : *bindings) {
        graph.pin(binding.key());
        graph.pin(binding.value());
      }
  }
}

ir::Model read_model(onnx::ModelProto& proto, const std::optional<std::filesystem::path>& folder,
                     const Limits& limits) {
  if (!proto.has_graph() && !proto.has_ir_version()) fail(ErrorCode::kInvalidModel, kNoModel);
  if (proto.ir_version() < 1) fail(ErrorCode::kInvalidModel, "IR version {} is not valid", proto.ir_version());
  if (!proto.has_graph()) fail(ErrorCode::kInvalidModel, "the model holds no graph");

  ir::Model model;
  model.ir_version = proto.ir_version();
  model.opsets = std::make_shared<const ir::OpsetImports>(read_opsets(proto));
  const Screened screened = screen(proto, folder, limits);
  model.has_external_data = screened.has_external_data;
  const std::set<FunctionKey> functions = check_functions(proto, limits);
  for (const auto& function : extract(*proto.mutable_functions()))
    model.functions.push_back({function->domain(), function->name(), to_bytes(*function)});
  model.graph =
      read_graph(*proto.mutable_graph(), {model.ir_version, model.opsets, limits, functions, screened.payloads});
  pin_trained(proto, model.graph);
  proto.clear_graph();
  proto.clear_ir_version();
  model.extra = to_bytes(proto);
  return model;
}

void check_size(int64_t bytes, const Limits& limits) {
  const int64_t most = std::min<int64_t>(limits.model_bytes, std::numeric_limits<int32_t>::max());
  if (bytes > most) fail(ErrorCode::kResourceLimit, "{} bytes are more than the limit of {}", bytes, most);
}

onnx::ModelProto parse_file(const InputFile& file, const Limits& limits) {
  check_size(file.size(), limits);
  {
    google::protobuf::io::FileInputStream stream(file.descriptor());
    check_records(stream, *onnx::ModelProto::descriptor(), file.size(), limits);
  }
  if (::lseek(file.descriptor(), 0, SEEK_SET) != 0)
    fail(ErrorCode::kIo, "can't be read: {}", std::error_code(errno, std::generic_category()).message());
  google::protobuf::io::FileInputStream stream(file.descriptor());
  google::protobuf::io::LimitingInputStream limited(&stream, file.size());
  onnx::ModelProto proto;
  const bool parsed = proto.ParsePartialFromZeroCopyStream(&limited);
  if (stream.GetErrno() != 0)
    fail(ErrorCode::kIo, "can't be read: {}", std::error_code(stream.GetErrno(), std::generic_category()).message());
  if (parsed && limited.ByteCount() != file.size()) fail(ErrorCode::kIo, "became shorter while it was read");
  if (!parsed) fail(ErrorCode::kInvalidModel, kNoModel);
  return proto;
}

}  // namespace

ir::Model load_model(const std::filesystem::path& path, const Limits& limits) {
  const InputFile file(path);
  return with_context(path.string(), [&] {
    onnx::ModelProto proto = parse_file(file, limits);
    return read_model(proto, path.parent_path(), limits);
  });
}

ir::Model parse_model(std::span<const std::byte> bytes, const Limits& limits) {
  check_size(static_cast<int64_t>(bytes.size()), limits);
  const int size = static_cast<int>(bytes.size());
  google::protobuf::io::ArrayInputStream stream(bytes.data(), size);
  check_records(stream, *onnx::ModelProto::descriptor(), size, limits);
  onnx::ModelProto proto;
  if (!proto.ParsePartialFromArray(bytes.data(), size)) fail(ErrorCode::kInvalidModel, kNoModel);
  return read_model(proto, std::nullopt, limits);
}

std::set<std::string> external_files(const std::filesystem::path& path) {
  try {
    const Limits limits;
    onnx::ModelProto proto = parse_file(InputFile(path), limits);
    return external_locations(proto, limits);
  } catch (const Error&) {
    return {};
  }
}

}  // namespace pli
