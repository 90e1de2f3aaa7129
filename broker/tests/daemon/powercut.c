// A disk that forgets, for tests: preloaded into a process, it keeps beside the real files what a power cut would leave.
//
// POWERCUT_DIR     the folder that is watched
// POWERCUT_SHADOW  where the durable state is kept: `ino.<n>` is what of a file was synced, `listing` the names that were
// POWERCUT_AT      at the n-th change of a file (write, truncate, sync, unlink, rename) the process dies, before the change
//
// A file's content is durable up to its last fsync or fdatasync, names up to the last fsync of the folder. A file that is
// unlinked is moved away instead, so that its inode is not given to another one.

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int changes;
static atomic_int graves;

static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int below(const char *path) {
    const char *dir = setting("POWERCUT_DIR");
    size_t length = strlen(dir);
    return length > 0 && strncmp(path, dir, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int watched(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return below(path);
}

static void change(void) {
    if (atomic_fetch_add(&changes, 1) + 1 == atoi(setting("POWERCUT_AT")))
        _exit(99);
}

static void put(const char *name, const char *bytes, size_t length) {
    char part[4096], whole[4096];
    snprintf(part, sizeof part, "%s/%s.part", setting("POWERCUT_SHADOW"), name);
    snprintf(whole, sizeof whole, "%s/%s", setting("POWERCUT_SHADOW"), name);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    while (length > 0) {
        ssize_t done = REAL(write)(fd, bytes, length);
        if (done <= 0)
            abort();
        bytes += done;
        length -= done;
    }
    close(fd);
    REAL(rename)(part, whole);
}

static void keep_file(int fd, const struct stat *stat) {
    char name[64];
    char *bytes = malloc(stat->st_size + 1);
    ssize_t length = pread(fd, bytes, stat->st_size, 0);
    // A file that is open for writing alone cannot be read here: through its name it can.
    if (length < 0) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        int again = open(link, O_RDONLY);
        length = pread(again, bytes, stat->st_size, 0);
        close(again);
    }
    snprintf(name, sizeof name, "ino.%lu", (unsigned long)stat->st_ino);
    put(name, bytes, length < 0 ? 0 : length);
    free(bytes);
}

static void keep_names(void) {
    char text[65536];
    size_t length = 0;
    DIR *dir = opendir(setting("POWERCUT_DIR"));
    struct dirent *entry;
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            length += snprintf(text + length, sizeof text - length, "%lu %s\n", (unsigned long)entry->d_ino, entry->d_name);
    closedir(dir);
    put("listing", text, length);
}

// What is there at the start has been there for long.
__attribute__((constructor)) static void begin(void) {
    struct dirent *entry;
    DIR *dir = opendir(setting("POWERCUT_DIR"));
    if (!dir)
        return;
    while ((entry = readdir(dir))) {
        struct stat stat;
        int fd = openat(dirfd(dir), entry->d_name, O_RDONLY);
        if (fd >= 0 && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
            keep_file(fd, &stat);
        close(fd);
    }
    closedir(dir);
    keep_names();
}

static int sync_fd(int fd) {
    struct stat stat;
    change();
    fstat(fd, &stat);
    if (S_ISDIR(stat.st_mode))
        keep_names();
    else
        keep_file(fd, &stat);
    return 0;
}

int fsync(int fd) { return watched(fd) ? sync_fd(fd) : REAL(fsync)(fd); }
int fdatasync(int fd) { return watched(fd) ? sync_fd(fd) : REAL(fdatasync)(fd); }

ssize_t write(int fd, const void *bytes, size_t count) {
    if (watched(fd))
        change();
    return REAL(write)(fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    if (watched(fd))
        change();
    return REAL(pwrite)(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    if (watched(fd))
        change();
    return REAL(pwrite64)(fd, bytes, count, at);
}

int ftruncate(int fd, off_t length) {
    if (watched(fd))
        change();
    return REAL(ftruncate)(fd, length);
}

int ftruncate64(int fd, off64_t length) {
    if (watched(fd))
        change();
    return REAL(ftruncate64)(fd, length);
}

int unlink(const char *path) {
    if (!below(path))
        return REAL(unlink)(path);
    char grave[4096];
    change();
    snprintf(grave, sizeof grave, "%s/grave.%d", setting("POWERCUT_SHADOW"), atomic_fetch_add(&graves, 1));
    return REAL(rename)(path, grave);
}

int rename(const char *from, const char *to) {
    if (below(to))
        change();
    return REAL(rename)(from, to);
}
