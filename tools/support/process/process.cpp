#include "tools/support/process/process.h"

#include "runtime/core/error.h"
#include "tools/support/console/json.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pli::tools {

Channel::Channel(Channel&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), buffer_(std::move(other.buffer_)) {}

Channel::~Channel() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool Channel::send(const Json& document) {
  const std::string line = json_line(document);
  for (size_t sent = 0; sent < line.size();) {
    const ssize_t count = ::send(descriptor_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    sent += static_cast<size_t>(count);
  }
  return true;
}

std::optional<Json> Channel::receive() {
  size_t searched = 0;
  while (true) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos) {
      Json document = Json::parse(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
      buffer_.erase(0, end + 1);
      if (document.is_discarded()) return std::nullopt;
      return document;
    }
    searched = buffer_.size();
    char block[65536];
    const ssize_t count = ::recv(descriptor_, block, sizeof(block), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::nullopt;
    buffer_.append(block, static_cast<size_t>(count));
  }
}

Child::Child(const std::function<int(Channel&)>& body)
    : Child(
          [] {
            int ends[2];
            if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
              fail(ErrorCode::kResourceLimit, "no socket for a child process: {}", std::strerror(errno));
            return std::pair(ends[0], ends[1]);
          }(),
          body) {}

Child::Child(std::pair<int, int> ends, const std::function<int(Channel&)>& body) : channel_(ends.first) {
  std::fflush(stdout);
  std::fflush(stderr);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    ::close(ends.first);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);  // it died before that
    Channel channel(ends.second);
    const int code = body(channel);
    std::fflush(stdout);
    std::fflush(stderr);
    ::_exit(code);
  }
  const int error = errno;
  ::close(ends.second);
  if (pid_ < 0) fail(ErrorCode::kResourceLimit, "no child process: {}", std::strerror(error));
}

Child::Child(Child&& other) noexcept
    : channel_(std::move(other.channel_)), pid_(std::exchange(other.pid_, -1)), signal_(other.signal_) {}

Child::~Child() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  wait();
}

std::string Child::wait() {
  int status = 0;
  pid_t waited;
  do waited = ::waitpid(pid_, &status, 0);
  while (waited < 0 && errno == EINTR);
  pid_ = -1;
  if (waited < 0) return "ended without a status";
  if (!WIFSIGNALED(status)) return fmt::format("exit code {}", WEXITSTATUS(status));
  signal_ = WTERMSIG(status);
  return fmt::format("killed by signal {} ({})", signal_, ::strsignal(signal_));
}

}  // namespace pli::tools
