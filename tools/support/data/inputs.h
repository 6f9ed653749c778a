#pragma once

#include "runtime/ir/graph.h"

#include <pli/model.h>
#include <pli/value.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pli::tools {

class CommandLine;

/// What the user says about a model's inputs, as it stands on the command line.
struct InputOptions {
  std::vector<std::string> files;   // NAME=FILE
  std::vector<std::string> shapes;  // NAME:1,3,224,224
  std::vector<std::string> dims;    // batch=4
  bool takes_files = true;          // the command has --input
};

/// --input, --shape and --dim; the first only with `files`.
void add_input_flags(CommandLine& line, InputOptions& options, bool files = true);

/// "1,3,224,224" as a shape. kInvalidArgument.
Shape parse_shape(const std::string& text);

/// kResourceLimit when an input is larger than Limits allow a tensor to be.
void check_input_size(const std::string& name, DataType dtype, const Shape& shape);

/// The inputs that a model needs, from files or seeded random numbers, at shapes that the model accepts. An input that
/// has a default is left to it unless a file is given.
///
/// Floats are normal with mean 0 and variance 1; integers are 0 or 1, or within the range of what they index. A
/// symbolic first dimension is a batch of 1, every other one an image size that grows from small until the model
/// accepts it, and 4 at last; then the same with a batch of 2. Where the guessed dimensions alone make more than 64 MiB
/// only the 4 is tried.
class InputMaker {
 public:
  /// Reads the files. kInvalidArgument, with a suggestion, for a name that the model does not have, and for a shape
  /// that contradicts the model's.
  InputMaker(const Model& model, const InputOptions& options);

  /// Calls `accepts` with inputs of one set of shapes after the other until it does not throw kInvalidModel or
  /// kInvalidArgument, and keeps those shapes. When all are refused, the first refusal is thrown: as kInvalidArgument
  /// that names the shapes when they were guessed or come from the user, since others may fit. kResourceLimit when an
  /// input is larger than Limits allow a tensor to be.
  void settle(const std::function<void(const NamedValues&)>& accepts);

  /// Inputs of the settled shapes. Another seed gives other random numbers.
  NamedValues make(uint64_t seed) const;

  /// Makes the batch this large where it was guessed, the rest as settled. False, and nothing done, where it was not.
  bool change_batch(int64_t batch);

  /// Some input is random: another seed makes a difference.
  bool has_random() const;

  /// What is known of symbolic dimensions, and the shapes that --shape gave, before anything is settled.
  const std::map<std::string, int64_t>& symbols() const { return symbols_; }
  std::map<std::string, Shape> shapes_given() const;

  /// How the shapes that the user gave contradict a symbol; empty when they don't.
  const std::string& contradiction() const { return contradiction_; }

  /// "image float32[1, 1, 8, 8], mask bool[1]".
  std::string describe() const;

  /// The flags that would give the shapes that were guessed, as settled: "--dim batch=1". Empty when none was.
  std::string guessed() const;

  /// Where the values of an input come from: the file, or "random numbers".
  std::string origin(const std::string& name) const;

 private:
  struct Input {
    std::string name;
    ir::Type type;
    std::string declaration;          // what decides how a file is read
    std::string file;                 // that it was given by
    std::optional<Value> given;       // from that file
    std::optional<Shape> fixed;       // from --shape
    std::optional<int64_t> channels;  // what dimension 1 must be when it is symbolic
    bool has_default = false;
    bool constant = false;        // the default can't be overridden
    bool decides_shapes = false;  // by its values
    int64_t limit = 2;            // integers are below it

    bool left_out() const { return has_default && !given; }
  };
  using Symbols = std::map<std::string, int64_t>;

  Input* find(const std::string& name);
  Input& named(const std::string& name);
  void take_file(const std::string& argument);
  void take_shape(const std::string& argument);
  void take_dim(const std::string& argument);
  void bind(const Input& input, std::span<const int64_t> shape);
  bool is_free(const ir::Dim& dim) const;  // to be guessed
  bool has_free_dims() const;
  bool is_too_large_a_guess() const;
  bool shapes_are_the_users() const;
  bool is_batch(const Input& input, size_t dimension) const;
  std::string how_to_give_shapes() const;
  std::string shape_flag(const Input& input, int64_t batch, int64_t size) const;
  Shape shape_of(const Input& input, int64_t batch, int64_t size) const;
  void choose(int64_t batch, int64_t size);

  std::vector<Input> inputs_;
  bool takes_files_;
  int64_t size_ = 0;  // settled, of what is no batch
  std::string contradiction_;
  Symbols symbols_;            // set by the user, or by the shape of what the user gave
  std::vector<Shape> shapes_;  // settled, parallel to inputs_
};

}  // namespace pli::tools
