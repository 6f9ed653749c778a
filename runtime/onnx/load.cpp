#include "runtime/onnx/load.h"

#include "runtime/core/files.h"
#include "runtime/onnx/foreign_file.h"
#include "runtime/onnx/functions.h"
#include "runtime/onnx/graph_reader.h"
#include "runtime/onnx/parse_file.h"
#include "runtime/onnx/protobuf_origin.h"
#include "runtime/onnx/records.h"
#include "runtime/onnx/screen.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>

namespace pli {

namespace {

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

/// One function, which is added to those that may be called from now on.
std::shared_ptr<const ir::Function> read_function(onnx::FunctionProto& proto, const ModelContext& context,
                                                  Functions& functions) {
  return with_context(fmt::format("function \"{}\"", proto.name()), [&] {
    const FunctionKey key = function_key(proto);
    auto function = std::make_shared<ir::Function>();
    function->domain = proto.domain();
    function->name = proto.name();
    function->defaults = read_defaults(proto, context.limits);
    function->proto = to_bytes(proto);
    function->body = read_body(proto, context);
    functions.emplace(key, function);
    return std::shared_ptr<const ir::Function>(std::move(function));
  });
}

/// `folders`: where external data may lie. `bring_in`: called before tensors are made.
ir::Model read_model(onnx::ModelProto& proto, std::span<const std::filesystem::path> folders, const Limits& limits,
                     const std::function<void(SharedPayloads&)>& bring_in = {}) {
  if (!proto.has_graph() && !proto.has_ir_version()) fail(ErrorCode::kInvalidModel, kNoModel);
  if (proto.ir_version() < 1) fail(ErrorCode::kInvalidModel, "IR version {} is not valid", proto.ir_version());
  if (!proto.has_graph()) fail(ErrorCode::kInvalidModel, "the model holds no graph");

  ir::Model model;
  model.ir_version = proto.ir_version();
  model.opsets = std::make_shared<const ir::OpsetImports>(read_opsets(proto.opset_import(), proto.ir_version()));
  Screened screened = screen(proto, folders, limits);
  model.has_external_data = screened.has_external_data;
  if (bring_in) bring_in(screened.payloads);
  const std::vector<int> callees_first = order_functions(proto, limits);
  Functions functions;
  const ModelContext context{model.ir_version, model.opsets, limits, functions, screened.payloads};
  model.functions.resize(callees_first.size());
  for (const int index : callees_first)
    model.functions[static_cast<size_t>(index)] = read_function(*proto.mutable_functions(index), context, functions);
  proto.clear_functions();
  model.graph = read_graph(*proto.mutable_graph(), context);
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

/// What `read` gives. Where it finds no valid model, and the file that starts so is of another format, that is said
/// instead.
template <class Read>
ir::Model read_or_name(const std::function<std::vector<std::byte>()>& start, Read&& read) {
  try {
    return read();
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kInvalidModel) throw;
    if (const auto meaning = describe_foreign_file(start()))
      fail(ErrorCode::kInvalidModel, "not an ONNX model: {}", *meaning);
    throw;
  }
}

std::filesystem::path home_folder() {
  std::error_code error;
  if (const char* home = std::getenv("HOME")) return std::filesystem::weakly_canonical(home, error);
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 16384> text{};
  ::getpwuid_r(::geteuid(), &entry, text.data(), text.size(), &found);
  return found ? std::filesystem::weakly_canonical(found->pw_dir, error) : std::filesystem::path();
}

/// Where external data of the model `file`, which was opened as `path`, may lie. A link to the model makes the folder
/// that it leads to one of these, but not one that holds nearly everything: the home folder, and those above it.
std::vector<std::filesystem::path> data_folders(const std::filesystem::path& path, const InputFile& file,
                                                std::span<const std::filesystem::path> external_folders) {
  std::vector<std::filesystem::path> folders{folder_of(path)};
  const std::filesystem::path target = file.resolved().parent_path();
  if (!target.empty() && target != target.root_path() && !lies_in(home_folder(), target)) folders.push_back(target);
  folders.insert(folders.end(), external_folders.begin(), external_folders.end());
  return folders;
}

}  // namespace

ir::Model load_model(const std::filesystem::path& path, const Limits& limits,
                     std::span<const std::filesystem::path> external_folders) {
  check_protobuf_origin();
  for (const std::filesystem::path& folder : external_folders)
    if (std::error_code error; !std::filesystem::is_directory(folder, error))
      fail(ErrorCode::kInvalidArgument, "\"{}\" is no folder that external data (--allow-external) could lie in",
           folder.string());
  const InputFile file(path);
  return in_file(path.string(), [&] {
    const auto start = [&] {
      std::vector<std::byte> bytes(std::min(static_cast<size_t>(file.size()), kTellingBytes));
      file.read(0, bytes);
      return bytes;
    };
    return read_or_name(start, [&] {
      check_size(file.size(), limits);
      ParsedFile parsed = parse_file(file, limits);
      return read_model(
          parsed.proto, data_folders(path, file, external_folders), limits,
          [&](SharedPayloads& payloads) { bring_in(file, parsed.left_out, *parsed.proto.mutable_graph(), payloads); });
    });
  });
}

ir::Model parse_model(std::span<const std::byte> bytes, const Limits& limits) {
  check_protobuf_origin();
  check_size(static_cast<int64_t>(bytes.size()), limits);
  const auto start = [&] {
    const auto telling = bytes.first(std::min(bytes.size(), kTellingBytes));
    return std::vector<std::byte>(telling.begin(), telling.end());
  };
  return read_or_name(start, [&] {
    const int size = static_cast<int>(bytes.size());
    google::protobuf::io::ArrayInputStream stream(bytes.data(), size);
    check_records(stream, kind_of<onnx::ModelProto>(), size, limits);
    onnx::ModelProto proto;
    if (!proto.ParsePartialFromArray(bytes.data(), size)) fail(ErrorCode::kInvalidModel, kNoModel);
    return read_model(proto, {}, limits);
  });
}

std::set<std::filesystem::path> external_files(const std::filesystem::path& path,
                                               std::span<const std::filesystem::path> external_folders) {
  std::set<std::filesystem::path> files;
  try {
    const Limits limits;
    const InputFile file(path);
    check_size(file.size(), limits);
    onnx::ModelProto proto = parse_file(file, limits).proto;
    const std::vector<std::filesystem::path> folders = data_folders(path, file, external_folders);
    for (const std::string& location : external_locations(proto, limits)) {
      std::error_code error;
      const auto holds = [&](const auto& folder) { return std::filesystem::exists(folder / location, error); };
      const auto folder = std::ranges::find_if(folders, holds);
      files.insert(((folder == folders.end() ? folders.front() : *folder) / location).lexically_normal());
    }
  } catch (const Error&) {
    files.clear();
  }
  return files;
}

}  // namespace pli
