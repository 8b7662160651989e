#include "common/store/commit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/** The folder part of a path, as a new string: "." where there is none. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return tx_strdup(".");
    char *folder = tx_strdup(path);
    folder[slash == path ? 1 : slash - path] = '\0';
    return folder;
}

/** Opens a new file PATH.PID-K.part and gives its name (owned by the caller); -1 with errno set. */
static int open_part(const char *path, char **part)
{
    size_t size = strlen(path) + 64;
    *part = tx_alloc(size, 1);
    for (unsigned k = 0; k < 10000; k++) {
        snprintf(*part, size, "%s.%ld-%u.part", path, (long)getpid(), k);
        int fd = open(*part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

/** False with the errno of what failed first. */
static bool write_and_close(int fd, const void *data, size_t bytes, bool sync)
{
    bool written = tx_write_all(fd, data, bytes) && (!sync || fsync(fd) == 0);
    int reason = errno;
    bool closed = close(fd) == 0;
    if (!written) errno = reason;
    return written && closed;
}

/** A file system that cannot sync folders says EINVAL; the rename is then as durable as it gets. */
static bool sync_folder(const char *path)
{
    char *folder = folder_of(path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0) return false;
    bool good = fsync(fd) == 0 || errno == EINVAL;
    int saved = errno;
    close(fd);
    errno = saved;
    return good;
}

tx_status tx_check_place(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return tx_fail(TX_ECREATE, "%s: expected a file or nothing, found a folder", path);
    return TX_OK;
}

/** The open temporary of a file, in *fd, and its name, to be freed. */
static tx_status begin(const char *path, char **part, int *fd)
{
    TX_TRY(tx_check_place(path));
    *fd = open_part(path, part);
    if (*fd >= 0) return TX_OK;
    tx_status s = tx_fail(TX_ECREATE, "%s: cannot create a file in this folder: %s", path, strerror(errno));
    free(*part);
    return s;
}

tx_status tx_check_commit(const char *path)
{
    char *part;
    int fd;
    TX_TRY(begin(path, &part, &fd));
    close(fd);
    unlink(part);
    free(part);
    return TX_OK;
}

tx_status tx_commit(const char *path, const void *data, size_t bytes)
{
    char *part;
    int fd;
    TX_TRY(begin(path, &part, &fd));
    bool good = write_and_close(fd, data, bytes, true);
    int reason = errno;
    bool renamed = good && rename(part, path) == 0;
    if (good && !renamed) reason = errno;
    tx_status s = TX_OK;
    if (!renamed) {
        unlink(part);
        s = tx_fail(TX_EIO, "%s: cannot write %zu bytes: %s; what was there before is untouched", path, bytes,
                    strerror(reason));
    } else if (!sync_folder(path)) {
        s = tx_fail(TX_EIO, "%s: written, but its folder cannot be synchronised: %s", path, strerror(errno));
    }
    free(part);
    return s;
}

tx_status tx_append(const char *path, const void *data, size_t bytes)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return tx_fail(TX_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    if (write_and_close(fd, data, bytes, false)) return TX_OK;
    return tx_fail(TX_EIO, "%s: cannot be written: %s", path, strerror(errno));
}

void tx_sweep(const char *prefix, const char *end)
{
    const char *slash = strrchr(prefix, '/'), *start = slash ? slash + 1 : prefix;
    size_t n = strlen(start), k = strlen(end), size = strlen(prefix) + NAME_MAX + 1;
    char *folder = folder_of(prefix), *path = tx_alloc(size, 1);
    DIR *d = opendir(folder);
    for (const struct dirent *e; d && (e = readdir(d));) {
        size_t len = strlen(e->d_name);
        if (len < n + k || strncmp(e->d_name, start, n) != 0 || strcmp(e->d_name + len - k, end) != 0) continue;
        snprintf(path, size, "%.*s%s", (int)(start - prefix), prefix, e->d_name);
        unlink(path);
    }
    if (d) closedir(d);
    free(folder);
    free(path);
}

tx_status tx_set_aside(const char *path, char aside[TX_TEXT_MAX])
{
    struct stat st;
    int n = snprintf(aside, TX_TEXT_MAX, "%s.damaged", path);
    for (unsigned k = 2; n < TX_TEXT_MAX && lstat(aside, &st) == 0; k++)
        n = snprintf(aside, TX_TEXT_MAX, "%s.damaged-%u", path, k);
    if (n < TX_TEXT_MAX && rename(path, aside) == 0 && sync_folder(path)) return TX_OK;
    return tx_fail(TX_EIO, "%s: cannot be set aside as %.80s...: %s", path, aside,
                   n < TX_TEXT_MAX ? strerror(errno) : "the path is too long");
}

tx_status tx_make_folders(const char *path)
{
    char *part = tx_strdup(path);
    tx_status s = TX_OK;
    for (char *end = part; s == TX_OK && *end;) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        char kept = *end;
        *end = '\0';
        struct stat st;
        if (mkdir(part, 0777) != 0) {
            int reason = errno;
            if (stat(part, &st) != 0)
                s = tx_fail(TX_ECREATE, "%s: cannot make this folder: %s", part, strerror(reason));
            else if (!S_ISDIR(st.st_mode))
                s = tx_fail(TX_ECREATE, "%s: expected a folder, found a file", part);
        }
        *end = kept;
    }
    free(part);
    return s;
}

tx_status tx_check_writable(const char *folder)
{
    char *at = tx_strdup(folder);
    struct stat st;
    while (stat(at, &st) != 0) {
        char *up = folder_of(at);
        bool top = strcmp(up, at) == 0;
        if (errno != ENOENT || top) {
            tx_status s = tx_fail(TX_ECREATE, "%s: cannot be used as a folder: %s", at, strerror(errno));
            free(up);
            free(at);
            return s;
        }
        free(at);
        at = up;
    }
    tx_status s = TX_OK;
    size_t size = strlen(at) + 16;
    char *probe = tx_alloc(size, 1), *part = NULL;
    snprintf(probe, size, "%s/taxon", at);
    if (!S_ISDIR(st.st_mode)) {
        s = tx_fail(TX_ECREATE, "%s: expected a folder, found a file", at);
    } else {
        int fd = open_part(probe, &part);
        if (fd < 0) {
            s = tx_fail(TX_ECREATE, "%s: cannot create files in this folder: %s", at, strerror(errno));
        } else {
            close(fd);
            unlink(part);
        }
    }
    free(part);
    free(probe);
    free(at);
    return s;
}
