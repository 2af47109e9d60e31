/* Faults of a file system, for torture.py: preloaded into a process, this library counts what it
 * writes below one folder, and at one of these calls lets the disk be full, a write fail, the
 * process be killed, or the power go.
 *
 *   FAULTS_BELOW   the folder
 *   FAULTS_AT      number of the call, from 1; 0 only counts
 *   FAULTS_HOW     error: this call fails (EIO); full: this and all later ones fail (ENOSPC);
 *                  kill: the process is killed; power: so, and what was not synced is cut in half
 *   FAULTS_COUNT   a file to append the number of calls to at the end
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define MOST 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *dirty[MOST];
static int n_dirty;
static long count;

static int below(const char *path) {
    const char *folder = getenv("FAULTS_BELOW");
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return below(path);
}

static int find(const char *path) {
    for (int i = 0; i < n_dirty; i++)
        if (strcmp(dirty[i], path) == 0) return i;
    return -1;
}

static void forget(const char *path) {
    int i = find(path);
    if (i < 0) return;
    free(dirty[i]);
    dirty[i] = dirty[--n_dirty];
}

static void written(const char *path) {
    if (find(path) < 0 && n_dirty < MOST) dirty[n_dirty++] = strdup(path);
}

static void end(int power) {
    struct stat found;
    for (int i = 0; power && i < n_dirty; i++)
        if (stat(dirty[i], &found) || truncate(dirty[i], found.st_size / 2)) perror(dirty[i]);
    kill(getpid(), SIGKILL);
}

/* Counts a call; returns whether it has to fail. Called with the lock held. */
static int fails(void) {
    const char *how = getenv("FAULTS_HOW");
    const char *text = getenv("FAULTS_AT");
    long at = text ? atol(text) : 0;
    count++;
    if (!how || at == 0 || count < at) return 0;
    if (strcmp(how, "full") == 0) {
        errno = ENOSPC;
        return 1;
    }
    if (count > at) return 0;
    if (strcmp(how, "error") == 0) {
        errno = EIO;
        return 1;
    }
    end(strcmp(how, "power") == 0);
    return 0;
}

#define WRITES(type, name, parameters, arguments)                  \
    type name parameters {                                         \
        char path[PATH_MAX];                                       \
        if (path_of(fd, path)) {                                   \
            pthread_mutex_lock(&lock);                             \
            int failed = fails();                                  \
            if (!failed) written(path);                            \
            pthread_mutex_unlock(&lock);                           \
            if (failed) return -1;                                 \
        }                                                          \
        return REAL(name) arguments;                               \
    }

WRITES(ssize_t, write, (int fd, const void *data, size_t n), (fd, data, n))
WRITES(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at))
WRITES(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t at), (fd, data, n, at))
WRITES(ssize_t, writev, (int fd, const struct iovec *data, int n), (fd, data, n))
WRITES(int, ftruncate, (int fd, off_t size), (fd, size))
WRITES(int, ftruncate64, (int fd, off64_t size), (fd, size))

static int sync_of(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    if (path_of(fd, path)) {
        pthread_mutex_lock(&lock);
        int failed = fails();
        if (!failed) forget(path);
        pthread_mutex_unlock(&lock);
        if (failed) return -1;
    }
    return real(fd);
}

int fsync(int fd) { return sync_of(fd, REAL(fsync)); }
int fdatasync(int fd) { return sync_of(fd, REAL(fdatasync)); }

static void moved(const char *from, const char *to) {
    size_t n = strlen(from);
    forget(to);
    for (int i = 0; i < n_dirty; i++) {
        if (strncmp(dirty[i], from, n) || (dirty[i][n] && dirty[i][n] != '/')) continue;
        char *now;
        if (asprintf(&now, "%s%s", to, dirty[i] + n) < 0) continue;
        free(dirty[i]);
        dirty[i] = now;
    }
}

int rename(const char *from, const char *to) {
    if (!below(to)) return REAL(rename)(from, to);
    pthread_mutex_lock(&lock);
    int result = fails() ? -1 : REAL(rename)(from, to);
    if (result == 0) moved(from, to);
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *path) {
    if (!below(path)) return REAL(unlink)(path);
    pthread_mutex_lock(&lock);
    forget(path);
    pthread_mutex_unlock(&lock);
    return REAL(unlink)(path);
}

__attribute__((destructor)) static void report(void) {
    const char *path = getenv("FAULTS_COUNT");
    FILE *file = path && count ? fopen(path, "a") : NULL;
    if (!file) return;
    fprintf(file, "%ld\n", count);
    fclose(file);
}
