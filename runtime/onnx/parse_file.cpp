#include "runtime/onnx/parse_file.h"

#include "runtime/onnx/records.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <exception>
#include <optional>

namespace pli {

namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CopyingInputStreamAdaptor;

/// Raw data below this is left to protobuf.
constexpr int64_t kLeastLeftOut = 16 << 10;

/// In which protobuf reads a length.
constexpr int64_t kMostLengthBytes = 5;

/// A piece of what protobuf reads: bytes of the file, or these in the place of some.
struct Piece {
  int64_t offset = 0;
  int64_t length = 0;
  std::string bytes;
};

/// The pieces one after another. An error of the file is kept, not thrown through protobuf.
class PieceStream : public google::protobuf::io::CopyingInputStream {
 public:
  PieceStream(const InputFile& file, std::span<const Piece> pieces) : file_(file), pieces_(pieces) {}

  int Read(void* buffer, int size) override {
    const int64_t count = std::min<int64_t>(size, left());
    if (count == 0) return 0;
    const std::span to(static_cast<std::byte*>(buffer), static_cast<size_t>(count));
    const Piece& piece = pieces_.front();
    try {
      if (piece.bytes.empty())
        file_.read(piece.offset + position_, to);
      else
        std::ranges::copy(std::as_bytes(std::span(piece.bytes)).subspan(static_cast<size_t>(position_), to.size()),
                          to.begin());
    } catch (...) {
      error_ = std::current_exception();
      return -1;
    }
    position_ += count;
    return static_cast<int>(count);
  }

  int Skip(int count) override {
    int skipped = 0;
    while (skipped < count && left() > 0) {
      const auto step = static_cast<int>(std::min<int64_t>(count - skipped, left()));
      position_ += step;
      skipped += step;
    }
    return skipped;
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  /// Of the piece that comes next; 0 at the end.
  int64_t left() {
    for (; !pieces_.empty(); pieces_ = pieces_.subspan(1), position_ = 0)
      if (position_ < pieces_.front().length) return pieces_.front().length - position_;
    return 0;
  }

  const InputFile& file_;
  std::span<const Piece> pieces_;
  int64_t position_ = 0;  // in the first of them
  std::exception_ptr error_;
};

/// Finds the raw data of the main graph's initializers that can be left out, and what the rest of the file becomes
/// without it: the lengths of the messages around it change, each written in as many bytes as before.
class Split {
 public:
  Split(CodedInputStream& input, int64_t size) : input_(input), size_(size) {}

  /// False where the file is malformed or of a kind that no writer makes: then it is to be read as it is.
  bool run() {
    return fields(onnx::ModelProto::kGraphFieldNumber, [&] { return graph(); }) && input_.ConsumedEntireMessage();
  }

  std::vector<Piece> pieces() const {
    std::vector<Piece> result;
    int64_t at = 0;
    for (const Edit& edit : edits_) {
      result.push_back({at, edit.at - at, {}});
      if (!edit.bytes.empty()) result.push_back({0, static_cast<int64_t>(edit.bytes.size()), edit.bytes});
      at = edit.at + edit.length;
    }
    result.push_back({at, size_ - at, {}});
    return result;
  }

  std::vector<RawPayload> left_out;

 private:
  /// `length` bytes of the file at `at` become these.
  struct Edit {
    int64_t at, length;
    std::string bytes;
  };

  /// Reads the fields of a message; `visit` those of one number that have a length, from there on.
  template <class Visit>
  bool fields(int number, const Visit& visit) {
    while (true) {
      field_at_ = input_.CurrentPosition();
      const uint32_t tag = input_.ReadTag();
      if (tag == 0) return true;
      const bool is_wanted = tag == WireFormatLite::MakeTag(number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
      if (!(is_wanted ? visit() : WireFormatLite::SkipField(&input_, tag))) return false;
    }
  }

  template <class Read>
  bool message(const Read& read) {
    const int64_t at = input_.CurrentPosition();
    int length = 0;
    if (!input_.ReadVarintSizeAsInt(&length)) return false;
    const int64_t start = input_.CurrentPosition(), removed = removed_;
    const auto edits = static_cast<std::ptrdiff_t>(edits_.size());
    const auto [limit, depth_left] = input_.IncrementRecursionDepthAndPushLimit(length);
    if (depth_left < 0 || !read() || !input_.DecrementRecursionDepthAndPopLimit(limit)) return false;
    if (removed_ == removed) return true;
    std::string shortened;
    for (int64_t left = length - (removed_ - removed), i = at + 1; i <= start; ++i, left >>= 7)
      shortened += static_cast<char>((left & 0x7f) | (i < start ? 0x80 : 0));
    edits_.insert(edits_.begin() + edits, {at, start - at, std::move(shortened)});
    return true;
  }

  bool graph() {
    return message([&] {
      return fields(onnx::GraphProto::kInitializerFieldNumber, [&] {
        const int index = initializers_++;
        return message([&] { return tensor(index); });
      });
    });
  }

  bool tensor(int index) {
    bool found = false;
    return fields(onnx::TensorProto::kRawDataFieldNumber, [&] {
      const int64_t at = field_at_, before_length = input_.CurrentPosition();
      int length = 0;
      if (std::exchange(found, true) || !input_.ReadVarintSizeAsInt(&length)) return false;
      const int64_t start = input_.CurrentPosition();
      if (start - before_length > kMostLengthBytes || length > size_ - start || !input_.Skip(length)) return false;
      if (length < kLeastLeftOut) return true;
      left_out.push_back({index, {start, length}});
      edits_.push_back({at, start + length - at, {}});
      removed_ += start + length - at;
      return true;
    });
  }

  CodedInputStream& input_;
  int64_t size_;
  int64_t field_at_ = 0;  // where the field that is visited begins
  int64_t removed_ = 0;   // bytes so far
  int initializers_ = 0;
  std::vector<Edit> edits_;
};

/// The tensor holds nothing else, and its type and shape take just these bytes.
bool fits(const onnx::TensorProto& proto, const RawPayload& payload) {
  const std::span dims(proto.dims().data(), static_cast<size_t>(proto.dims_size()));
  return may_refer(proto) && !has_inline_data(proto) && proto.data_location() != onnx::TensorProto::EXTERNAL &&
         packed_bytes(static_cast<DataType>(proto.data_type()), dims) == payload.range.length;
}

/// Puts what does not fit into the protos after all: whoever reads them says what is wrong.
void put_back(const InputFile& file, ParsedFile& parsed) {
  std::erase_if(parsed.left_out, [&](const RawPayload& payload) {
    onnx::TensorProto& proto = *parsed.proto.mutable_graph()->mutable_initializer(payload.initializer);
    if (fits(proto, payload)) return false;
    proto.mutable_raw_data()->resize(static_cast<size_t>(payload.range.length));
    file.read(payload.range.offset, std::as_writable_bytes(std::span(*proto.mutable_raw_data())));
    return true;
  });
}

}  // namespace

ParsedFile parse_file(const InputFile& file, const Limits& limits) {
  std::vector<Piece> pieces{{0, file.size(), {}}};
  ParsedFile result;
  {
    PieceStream stream(file, pieces);
    CopyingInputStreamAdaptor adaptor(&stream);
    CodedInputStream input(&adaptor);
    Split split(input, file.size());
    const bool can_be_split = split.run();
    stream.rethrow();
    if (can_be_split) {
      pieces = split.pieces();
      result.left_out = std::move(split.left_out);
    }
  }
  {
    PieceStream stream(file, pieces);
    CopyingInputStreamAdaptor adaptor(&stream);
    check_records(adaptor, kind_of<onnx::ModelProto>(), file.size(), limits);
    stream.rethrow();
  }
  PieceStream stream(file, pieces);
  CopyingInputStreamAdaptor adaptor(&stream, 64 << 10);
  const bool parsed = result.proto.ParsePartialFromZeroCopyStream(&adaptor);
  stream.rethrow();
  if (!parsed) fail(ErrorCode::kInvalidModel, kNoModel);
  const int initializers = result.proto.graph().initializer_size();
  if (!result.left_out.empty() && result.left_out.back().initializer >= initializers)
    fail(ErrorCode::kIo, "was changed while it was read");
  put_back(file, result);
  return result;
}

void bring_in(const InputFile& file, const std::vector<RawPayload>& left_out, onnx::GraphProto& graph,
              SharedPayloads& payloads) {
  std::vector<PayloadRange> ranges;
  for (const RawPayload& payload : left_out) {
    refer_to_shared(*graph.mutable_initializer(payload.initializer), payloads.size() + ranges.size());
    ranges.push_back(payload.range);
  }
  read_payloads(file, ranges, payloads);
}

}  // namespace pli
