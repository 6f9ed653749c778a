#pragma once

#include "tools/support/console/json_fwd.h"

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <sys/types.h>

namespace pli::tools {

/// JSON documents, one a line, to and from the process at the other end of a socket.
class Channel {
 public:
  /// Takes the descriptor over.
  explicit Channel(int descriptor) : descriptor_(descriptor) {}
  Channel(Channel&& other) noexcept;
  Channel& operator=(Channel&&) = delete;
  ~Channel();

  /// False when the other end is gone.
  bool send(const Json& document);

  /// Waits for the next document; nothing when the other end is gone or sends something else.
  std::optional<Json> receive();

  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
  std::string buffer_;
};

/// A child process with a channel to it. It dies with its parent, and with this object.
class Child {
 public:
  /// Forks; the child ends with what `body` gives. To be called while the process has one thread only.
  explicit Child(const std::function<int(Channel&)>& body);
  Child(Child&&) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  Channel& channel() { return channel_; }

  /// Waits for its end and says how that was: "exit code 3", "killed by signal 11 (Segmentation fault)".
  std::string wait();

  /// After wait: the signal that killed it, or 0.
  int signal() const { return signal_; }

 private:
  Child(std::pair<int, int> ends, const std::function<int(Channel&)>& body);

  Channel channel_;
  pid_t pid_ = -1;
  int signal_ = 0;
};

}  // namespace pli::tools
