#include "util/footprint.h"

#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* An object that is relocated in its text has changed pages there, which would be lost. */
static bool has_text_relocations(const struct dl_phdr_info *object)
{
	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &object->dlpi_phdr[i];
		if (p->p_type != PT_DYNAMIC)
			continue;
		const ElfW(Dyn) *d = (const void *)(object->dlpi_addr + p->p_vaddr);
		for (; d->d_tag != DT_NULL; d++)
			if (d->d_tag == DT_TEXTREL ||
			    (d->d_tag == DT_FLAGS && (d->d_un.d_val & DF_TEXTREL)))
				return true;
	}
	return false;
}

/* Only segments that were never writable, and only pages that are theirs alone: these are the
 * file's, unchanged. */
static int drop_pages(struct dl_phdr_info *object, size_t size, void *data)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)data;
	if (has_text_relocations(object))
		return 0;
	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &object->dlpi_phdr[i];
		if (p->p_type != PT_LOAD || (p->p_flags & PF_W))
			continue;
		uintptr_t begin = (object->dlpi_addr + p->p_vaddr + page - 1) / page * page;
		uintptr_t end = (object->dlpi_addr + p->p_vaddr + p->p_filesz) / page * page;
		if (begin < end)
			(void)madvise((void *)begin, end - begin, MADV_DONTNEED);
	}
	return 0;
}

void footprint_trim(void)
{
	(void)malloc_trim(0);
	(void)dl_iterate_phdr(drop_pages, NULL);
}
