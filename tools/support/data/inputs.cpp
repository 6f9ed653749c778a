#include "tools/support/data/inputs.h"

#include "runtime/core/dispatch.h"
#include "runtime/core/tensor.h"
#include "runtime/exec/specialize.h"
#include "tools/support/console/command_line.h"
#include "tools/support/console/text.h"
#include "tools/support/data/elements.h"
#include "tools/support/data/index_limit.h"
#include "tools/support/data/random.h"
#include "tools/support/data/values.h"

#include <pli/limits.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

namespace pli::tools {

namespace {

/// Tried in turn for a dimension that is not known. The last is for inputs of many dimensions.
constexpr int64_t kSizes[] = {32, 64, 96, 128, 224, 299, 4};
/// Tried in turn for a first dimension that is not known.
constexpr int64_t kBatches[] = {1, 2};
/// What flags in messages show in the place of such dimensions.
constexpr int64_t kExampleBatch = 1;
constexpr int64_t kExampleSize = 224;
/// What all guessed dimensions together make of one element; with more only the last size is tried, since what a model
/// makes of its inputs can be many times as large.
constexpr int64_t kMostGuessedBytes = int64_t{64} << 20;

int64_t parse_count(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0)
    fail(ErrorCode::kInvalidArgument, "\"{}\" is no dimension", text);
  return value;
}

/// The channels that the first Conv behind an input takes: dimension 1 of its weight, for each group.
std::optional<int64_t> channels_of(const ir::Graph& graph, ir::ValueId input) {
  for (const ir::Use& use : graph.uses(input)) {
    const ir::Node& node = graph.node(use.node);
    if (!node.is("Conv") || use.index != 0 || !node.input(1)) continue;
    const auto& dims = graph.type(node.input(1)).dims;
    if (!dims || dims->size() < 2 || !(*dims)[1].known()) continue;
    const auto channels = checked_mul((*dims)[1].value(), node.int_or("group", 1));
    if (channels && *channels > 0) return channels;
  }
  return std::nullopt;
}

Tensor random_tensor(DataType dtype, Shape shape, int64_t limit, uint64_t seed) {
  Random random(seed);
  if (is_float(dtype)) {
    std::vector<double> values(static_cast<size_t>(checked_size(shape).value_or(0)));
    for (double& value : values) value = random.normal();
    return from_doubles(dtype, std::move(shape), values);
  }
  Tensor tensor(dtype, std::move(shape));
  const auto fill = [&]<class T>(T) {
    for (T& element : tensor.mutable_data<T>()) element = static_cast<T>(random.below(limit));
  };
  if (dtype == DataType::kBool)
    fill(bool{});
  else if (is_integer(dtype))
    with_integer_type(dtype, fill);
  else
    fail(ErrorCode::kUnsupported, "random inputs of {} can't be made; give them with --input", to_string(dtype));
  return tensor;
}

/// The element range has to be representable: an int8 that indexes 1000 classes can only reach 128 of them.
int64_t representable(DataType dtype, int64_t limit) {
  if (dtype == DataType::kBool) return 2;
  if (!is_integer(dtype)) return limit;
  return with_integer_type(dtype, [&]<class T>(T) {
    if constexpr (sizeof(T) > sizeof(int16_t))
      return std::min<int64_t>(limit, INT32_MAX);
    else
      return std::min<int64_t>(limit, int64_t{std::numeric_limits<T>::max()} + 1);
  });
}

}  // namespace

void add_input_flags(CommandLine& line, InputOptions& options, bool files) {
  options.takes_files = files;
  if (files)
    line.add({.names = "--input",
              .target = &options.files,
              .help = "take an input from a .npy or TensorProto (.pb) file; default: seeded random numbers",
              .value = "NAME=FILE"});
  line.add({.names = "--shape",
            .target = &options.shapes,
            .help = "shape of a random input, such as image:1,3,224,224",
            .value = "NAME:DIMS"});
  line.add({.names = "--dim",
            .target = &options.dims,
            .help = "value of a symbolic dimension, such as batch=4",
            .value = "NAME=N"});
}

void check_input_size(const std::string& name, DataType dtype, const Shape& shape) {
  const int64_t most = Limits().tensor_bytes;
  const auto bytes = packed_bytes(dtype, shape);
  const bool countable = bit_width(dtype) > 0;  // strings are not, and can't be made up either
  if (countable && (!bytes || *bytes > most))
    fail(ErrorCode::kResourceLimit, "input \"{}\" {}{} takes more than the {} that a tensor may", name,
         to_string(dtype), to_string(shape), bytes_text(static_cast<double>(most)));
}

Shape parse_shape(const std::string& text) {
  Shape shape;
  if (text.empty()) return shape;
  size_t begin = 0;
  while (true) {
    const size_t comma = text.find(',', begin);
    shape.push_back(parse_count(text.substr(begin, comma - begin)));
    if (comma == std::string::npos) return shape;
    begin = comma + 1;
  }
}

InputMaker::InputMaker(const Model& model, const InputOptions& options) : takes_files_(options.takes_files) {
  const ir::Graph& graph = model.ir()->graph;
  const std::set<ir::ValueId> deciding = exec::find_value_inputs(graph);
  for (const ir::ValueId id : graph.inputs()) {
    Input input{graph.name(id), graph.type(id), graph.value(id).extra, {}, {}, {}, channels_of(graph, id)};
    input.has_default = graph.value(id).has_default();
    input.constant = graph.constant_of(id) != nullptr;
    input.decides_shapes = deciding.contains(id);
    input.limit = representable(input.type.dtype, index_limit(graph, id).value_or(2));
    inputs_.push_back(std::move(input));
  }
  for (const std::string& argument : options.files) take_file(argument);
  for (const std::string& argument : options.shapes) take_shape(argument);
  for (const std::string& argument : options.dims) take_dim(argument);
}

InputMaker::Input* InputMaker::find(const std::string& name) {
  const auto found = std::ranges::find(inputs_, name, &Input::name);
  return found == inputs_.end() ? nullptr : &*found;
}

InputMaker::Input& InputMaker::named(const std::string& name) {
  if (Input* input = find(name)) return *input;
  std::vector<std::string> names;
  for (const Input& input : inputs_)
    if (!input.constant) names.push_back(input.name);
  fail(ErrorCode::kInvalidArgument, "the model has no input \"{}\"; it has {}", name,
       names.empty() ? "none" : suggest(name, names));
}

void InputMaker::take_file(const std::string& argument) {
  // A name may hold '=' itself: the first split that gives an input's name is meant.
  size_t split = argument.find('=');
  if (split == std::string::npos) fail(ErrorCode::kInvalidArgument, "--input \"{}\" is not NAME=FILE", argument);
  for (size_t at = split; at != std::string::npos; at = argument.find('=', at + 1))
    if (find(argument.substr(0, at))) {
      split = at;
      break;
    }
  Input& input = named(argument.substr(0, split));
  if (input.constant)
    fail(ErrorCode::kInvalidArgument, "input \"{}\" is a weight that this model does not let be overridden",
         input.name);
  if (input.given) fail(ErrorCode::kInvalidArgument, "input \"{}\" is given twice", input.name);
  const std::string file = argument.substr(split + 1);
  input.file = file;
  input.given = load_value(file, input.declaration);
  if (!input.given->is_tensor()) return;
  if (input.given->dtype() != input.type.dtype)
    fail(ErrorCode::kInvalidArgument, "input \"{}\" is {}, {} holds {}", input.name, ir::to_string(input.type), file,
         type_text(*input.given));
  bind(input, input.given->shape());
}

void InputMaker::take_shape(const std::string& argument) {
  const size_t colon = argument.rfind(':');
  if (colon == std::string::npos)
    fail(ErrorCode::kInvalidArgument, "--shape \"{}\" is not NAME:DIMS, such as --shape image:1,3,224,224", argument);
  Input& input = named(argument.substr(0, colon));
  if (input.has_default)
    fail(ErrorCode::kInvalidArgument, "input \"{}\" has a default, and the shape of that", input.name);
  if (input.given || input.fixed)
    fail(ErrorCode::kInvalidArgument, "the shape of input \"{}\" is given twice", input.name);
  const Shape shape = parse_shape(argument.substr(colon + 1));
  bind(input, shape);
  input.fixed = shape;
}

void InputMaker::take_dim(const std::string& argument) {
  const size_t equals = argument.rfind('=');
  if (equals == std::string::npos)
    fail(ErrorCode::kInvalidArgument, "--dim \"{}\" is not NAME=N, such as --dim batch=4", argument);
  const std::string name = argument.substr(0, equals);
  std::set<std::string> symbols;
  for (const Input& input : inputs_)
    for (const ir::Dim& dim : input.type.dims.value_or(ir::Dims{}))
      if (dim.symbolic()) symbols.insert(dim.symbol());
  if (!symbols.contains(name)) {
    const std::vector<std::string> names(symbols.begin(), symbols.end());
    if (names.empty())
      fail(ErrorCode::kInvalidArgument, "the model's inputs have no symbolic dimension \"{}\": they have none", name);
    fail(ErrorCode::kInvalidArgument, "the model's inputs have no symbolic dimension \"{}\"; they have {}", name,
         suggest(name, names));
  }
  const int64_t value = parse_count(argument.substr(equals + 1));
  const auto [known, fresh] = symbols_.emplace(name, value);
  if (!fresh && known->second != value)
    fail(ErrorCode::kInvalidArgument, "dimension {} is {} and {} at once", name, known->second, value);
}

/// A shape from the user has to fit the declared one, and sets the symbols in it. A symbol that another shape has set
/// to another number keeps the first: the model may take both.
void InputMaker::bind(const Input& input, std::span<const int64_t> shape) {
  if (!input.type.dims) return;
  const ir::Dims& declared = *input.type.dims;
  const auto misfit = [&] {
    fail(ErrorCode::kInvalidArgument, "input \"{}\" is {}, which shape {} does not fit{}", input.name,
         ir::to_string(input.type), to_string(shape),
         input.given ? "" : "; such as " + shape_flag(input, kExampleBatch, kExampleSize) + " does");
  };
  if (declared.size() != shape.size()) misfit();
  for (size_t i = 0; i < shape.size(); ++i) {
    if (declared[i].known() && declared[i].value() != shape[i]) misfit();
    if (!declared[i].symbolic()) continue;
    const auto [known, fresh] = symbols_.emplace(declared[i].symbol(), shape[i]);
    if (!fresh && known->second != shape[i] && contradiction_.empty())
      contradiction_ = fmt::format("dimension {} is {} in one input and {} in input \"{}\"", declared[i].symbol(),
                                   known->second, shape[i], input.name);
  }
}

bool InputMaker::is_free(const ir::Dim& dim) const {
  return !dim.known() && !(dim.symbolic() && symbols_.contains(dim.symbol()));
}

bool InputMaker::has_free_dims() const {
  return std::ranges::any_of(inputs_, [&](const Input& input) {
    if (input.given || input.fixed || input.left_out() || !input.type.dims) return false;
    return std::ranges::any_of(*input.type.dims, [&](const ir::Dim& dim) { return is_free(dim); });
  });
}

bool InputMaker::shapes_are_the_users() const {
  return !symbols_.empty() ||
         std::ranges::any_of(inputs_, [](const Input& input) { return input.given || input.fixed; });
}

/// "--shape x:1,3,224,224".
std::string InputMaker::shape_flag(const Input& input, int64_t batch, int64_t size) const {
  return fmt::format("--shape {}:{}", input.name, fmt::join(shape_of(input, batch, size), ","));
}

/// "--dim n=224", "--shape x:1,3,224,224", "--input x=FILE": examples of the flags by which the user can set what is
/// made up and decides a shape.
std::string InputMaker::how_to_give_shapes() const {
  std::set<std::string> flags;
  for (const Input& input : inputs_) {
    if (!input.given && !input.left_out() && input.decides_shapes)
      flags.insert(fmt::format("{}--input {}=FILE", takes_files_ ? "" : "onnx-run's ", input.name));
    if (input.given || input.fixed || input.left_out() || !input.type.dims) continue;
    for (size_t i = 0; i < input.type.dims->size(); ++i) {
      const ir::Dim& dim = (*input.type.dims)[i];
      if (!is_free(dim)) continue;
      flags.insert(dim.symbolic()
                       ? fmt::format("--dim {}={}", dim.symbol(), is_batch(input, i) ? kExampleBatch : kExampleSize)
                       : shape_flag(input, kExampleBatch, kExampleSize));
    }
  }
  return fmt::format("{}", fmt::join(flags, " "));
}

std::string InputMaker::guessed() const {
  std::set<std::string> flags;
  for (size_t n = 0; n < inputs_.size(); ++n) {
    const Input& input = inputs_[n];
    if (input.given || input.fixed || input.left_out() || !input.type.dims) continue;
    for (size_t i = 0; i < input.type.dims->size(); ++i) {
      const ir::Dim& dim = (*input.type.dims)[i];
      if (!is_free(dim)) continue;
      flags.insert(dim.symbolic() ? fmt::format("--dim {}={}", dim.symbol(), shapes_[n][i])
                                  : fmt::format("--shape {}:{}", input.name, fmt::join(shapes_[n], ",")));
    }
  }
  return fmt::format("{}", fmt::join(flags, " "));
}

std::string InputMaker::origin(const std::string& name) const {
  const auto input = std::ranges::find(inputs_, name, &Input::name);
  return input == inputs_.end() || !input->given ? "random numbers" : input->file;
}

/// The first dimension of an input, and a symbol that is the first dimension of any input, wherever else it stands.
bool InputMaker::is_batch(const Input& input, size_t dimension) const {
  const ir::Dim& dim = (*input.type.dims)[dimension];
  return dimension == 0 || (dim.symbolic() && std::ranges::any_of(inputs_, [&](const Input& other) {
                              return other.type.dims && !other.type.dims->empty() && other.type.dims->front() == dim;
                            }));
}

bool InputMaker::change_batch(int64_t batch) {
  const std::vector<Shape> before = shapes_;
  choose(batch, size_);
  return shapes_ != before;
}

Shape InputMaker::shape_of(const Input& input, int64_t batch, int64_t size) const {
  if (input.left_out()) return {};
  if (input.given)
    return input.given->is_tensor() ? Shape(input.given->shape().begin(), input.given->shape().end()) : Shape{};
  if (input.type.kind != ir::Type::Kind::kTensor)
    fail(ErrorCode::kUnsupported, "input \"{}\" is no tensor; give it with --input", input.name);
  if (input.fixed) return *input.fixed;
  if (!input.type.dims)
    fail(ErrorCode::kInvalidArgument,
         "the model does not say the shape of input \"{}\"; give it, such as --shape {}:1,3,224,224", input.name,
         input.name);
  Shape shape;
  for (size_t i = 0; i < input.type.dims->size(); ++i) {
    const ir::Dim& dim = (*input.type.dims)[i];
    const auto known = dim.symbolic() ? symbols_.find(dim.symbol()) : symbols_.end();
    if (dim.known())
      shape.push_back(dim.value());
    else if (known != symbols_.end())
      shape.push_back(known->second);
    else if (is_batch(input, i))
      shape.push_back(batch);
    else if (i == 1 && input.channels)
      shape.push_back(*input.channels);
    else
      shape.push_back(size);
  }
  return shape;
}

void InputMaker::choose(int64_t batch, int64_t size) {
  shapes_.clear();
  size_ = size;
  for (const Input& input : inputs_) shapes_.push_back(shape_of(input, batch, size));
}

bool InputMaker::is_too_large_a_guess() const {
  int64_t left = kMostGuessedBytes;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Input& input = inputs_[i];
    if (input.given || input.fixed || input.left_out() || !input.type.dims) continue;
    Shape guessed;
    for (size_t d = 0; d < shapes_[i].size(); ++d)
      if (is_free((*input.type.dims)[d])) guessed.push_back(shapes_[i][d]);
    const auto bytes = packed_bytes(input.type.dtype, guessed);
    if (!bytes || *bytes > left) return true;
    left -= *bytes;
  }
  return false;
}

void InputMaker::settle(const std::function<void(const NamedValues&)>& accepts) {
  const auto fits_not = [](const Error& e) {
    return e.code() == ErrorCode::kInvalidModel || e.code() == ErrorCode::kInvalidArgument;
  };
  std::optional<Error> first;
  for (const int64_t batch : kBatches) {
    for (const int64_t size : kSizes) {
      choose(batch, size);
      if (size != std::end(kSizes)[-1] && is_too_large_a_guess()) continue;
      try {
        return accepts(make(0));
      } catch (const Error& e) {
        if (!fits_not(e)) throw;
        const std::string flags = how_to_give_shapes();
        if (flags.empty() && !shapes_are_the_users()) throw;
        if (flags.empty())
          throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: for {}", e.what(), describe()), e.file(), e.node());
        if (!first)
          first = Error(
              ErrorCode::kInvalidArgument,
              fmt::format("{}: for {}, which is a guess; give what fits, such as {}", e.what(), describe(), flags),
              e.file(), e.node());
        if (!has_free_dims()) throw *first;
      }
    }
  }
  throw *first;
}

NamedValues InputMaker::make(uint64_t seed) const {
  NamedValues values;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Input& input = inputs_[i];
    if (input.left_out()) continue;
    if (!input.given) check_input_size(input.name, input.type.dtype, shapes_[i]);
    values.add(input.name, input.given ? *input.given : with_context(fmt::format("input \"{}\"", input.name), [&] {
                 return Value(random_tensor(input.type.dtype, shapes_[i], input.limit, (seed << 20) + i));
               }));
  }
  return values;
}

bool InputMaker::has_random() const {
  return std::ranges::any_of(inputs_, [](const Input& input) { return !input.given && !input.has_default; });
}

std::map<std::string, Shape> InputMaker::shapes_given() const {
  std::map<std::string, Shape> shapes;
  for (const Input& input : inputs_)
    if (input.fixed) shapes.emplace(input.name, *input.fixed);
  return shapes;
}

std::string InputMaker::describe() const {
  std::string text;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (inputs_[i].left_out()) continue;
    const std::string type = inputs_[i].given && !inputs_[i].given->is_tensor()
                                 ? type_text(*inputs_[i].given)
                                 : to_string(inputs_[i].type.dtype) + to_string(shapes_[i]);
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", inputs_[i].name, type);
  }
  return text.empty() ? "no inputs" : text;
}

}  // namespace pli::tools
