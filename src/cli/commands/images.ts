import { type Command, Option } from 'commander'
import type { Visibility } from '../../clouds/cloud.ts'
import { formatSize } from '../../core/bytes.ts'
import { cancellable } from '../cancellable.ts'
import { imageRow, imageTable, presentStored } from '../render/stored-image.ts'
import { table } from '../render/table.ts'
import { runJob } from '../run-job.ts'
import { asJob, type CommonOptions, common, list, print, several, withImagewright } from '../session.ts'
import { addCleaningOptions, type CleaningOptions, readOptionalCleaning } from './cleaning-options.ts'
import { readPairs } from './pairs.ts'
import { refuseWithStdout } from './refuse-with-stdout.ts'
import { addStorageOptions, readStorageOptions, type StorageOptions } from './storage-options.ts'

export function addImagesCommand(program: Command): void {
  const images = program
    .command('images')
    .summary('the image service of any cloud')
    .description(
      'The image service of any cloud: list, show, find, upload, download, delete, share, unshare, set.',
    )
  addListCommand(images)
  addShowCommand(images)
  addUploadCommand(images)
  addDownloadCommand(images)
  addDeleteCommand(images)
  addShareCommands(images)
  addSetCommand(images)
}

interface ListOptions extends CommonOptions {
  name?: string
  status?: 'pending' | 'active' | 'deactivated' | 'error'
  visibility?: Visibility
  owner?: string
  tag?: string
  property?: string[]
}

function addListCommand(images: Command): void {
  const command = images
    .command('list [cloud]')
    .description('Lists images, filtered. Without a cloud: of the embedded cloud.')
    .option('--name <name>', 'with exactly this name')
    .addOption(new Option('--status <status>').choices(['pending', 'active', 'deactivated', 'error']))
    .addOption(new Option('--visibility <who>').choices(['private', 'shared', 'community', 'public']))
    .option('--owner <owner>', 'of this owner')
    .option('--tag <tag>', 'with this tag')
    .option('--property <key=value>', 'with this property (repeatable)', several)
  common(command, ['imagewright images list', 'imagewright images list local --status active --tag golden'])
  command.action((cloudName: string | undefined, options: ListOptions) =>
    withImagewright(options, async (imagewright) => {
      const { name, status, visibility, owner, tag } = options
      const found = await imagewright.images.list(cloudName ?? 'local', {
        ...(name ? { name } : {}),
        ...(status ? { status } : {}),
        ...(visibility ? { visibility } : {}),
        ...(owner ? { owner } : {}),
        ...(tag ? { tag } : {}),
        ...(options.property ? { properties: readPairs(options.property) } : {}),
      })
      print(options, found, imageTable)
    }),
  )
}

function addShowCommand(images: Command): void {
  const show = images
    .command('show <cloud:image>')
    .description('Shows everything the cloud says of an image.')
  common(show, ['imagewright images show local:"web golden"'])
  show.action((reference: string, options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      print(options, await imagewright.images.show(reference), imageRow)
    }),
  )
  const find = images
    .command('find <cloud:image>')
    .description(
      'Prints the id of the one image with this id or exact name; fails when there is none or several.',
    )
    .option('--ignore-missing', 'print nothing and succeed when there is none')
  common(find, ['imagewright images find local:"web golden"'])
  find.action((reference: string, options: CommonOptions & { ignoreMissing?: boolean }) =>
    withImagewright(options, async (imagewright) => {
      const image = await (options.ignoreMissing
        ? imagewright.images.find(reference)
        : imagewright.images.show(reference))
      print(options, image, (found) => found?.id ?? '')
    }),
  )
}

interface UploadOptions extends CommonOptions, StorageOptions, CleaningOptions {
  inputFormat?: string
  allowBacking?: boolean
  clean?: boolean
}

function addUploadCommand(images: Command): void {
  const command = images
    .command('upload <file> <cloud:name>')
    .description(
      'Checks a disk-image file and stores it as an image: byte for byte, unless cleaning, another format or compression asks for a new container. Read back and compared before it is published.',
    )
    .addOption(
      new Option('--input-format <format>', 'what the file is declared to be').choices(['raw', 'qcow2']),
    )
    .option('--allow-backing', 'follow a backing or data file, in the same folder as the file')
    .option('--clean', 'clean it on the way')
  addStorageOptions(command)
  addCleaningOptions(command)
  asJob(command)
  common(command, [
    'imagewright images upload debian.qcow2 local:debian',
    'imagewright images upload web1.raw local:web1 --format qcow2 --clean --visibility public',
  ])
  command.action((file: string, target: string, options: UploadOptions) =>
    withImagewright(options, async (imagewright) => {
      const handle = imagewright.uploadImage(file, target, {
        ...(options.inputFormat ? { inputFormat: options.inputFormat } : {}),
        allowBacking: options.allowBacking ?? false,
        clean: readOptionalCleaning(command, options),
        storage: readStorageOptions(options),
      })
      print(options, await runJob(options, handle), presentStored)
    }),
  )
}

function addDownloadCommand(images: Command): void {
  const command = images
    .command('download <cloud:image> <file>')
    .description(
      'Downloads the stored bytes of an image, as they are, to a file or to stdout ("-"). They are compared with the checksums of the cloud; a file appears only when they are right.',
    )
    .option('-f, --force', 'replace an existing file')
  asJob(command)
  common(command, [
    'imagewright images download local:debian debian.qcow2',
    'imagewright images download local:debian - | sha256sum',
  ])
  command.action((reference: string, file: string, options: CommonOptions & { force?: boolean }) =>
    withImagewright(options, async (imagewright) => {
      if (file === '-') {
        refuseWithStdout(options, ['json', 'force'])
        await cancellable((signal) => imagewright.downloadToStream(reference, process.stdout, { signal }))
        return
      }
      const handle = imagewright.downloadImage(reference, file, { overwrite: options.force ?? false })
      const result = await runJob(options, handle)
      print(options, result, ({ path, size, sha256, compared }) => {
        const checked =
          compared.length > 0 ? `${compared.join(', ')} equal` : 'the cloud has no checksum to compare'
        return `${path}: ${formatSize(size)}, ${checked}\nsha256  ${sha256}`
      })
    }),
  )
}

function addDeleteCommand(images: Command): void {
  const command = images
    .command('delete <cloud:image...>')
    .description('Deletes images by id or exact name.')
    .option('--ignore-missing', 'succeed when an image does not exist')
  common(command, ['imagewright images delete local:"web golden"'])
  command.action((references: string[], options: CommonOptions & { ignoreMissing?: boolean }) =>
    withImagewright(options, async (imagewright) => {
      const deleted: { reference: string; id: string | null }[] = []
      for (const reference of references) {
        const isMissing = options.ignoreMissing && (await imagewright.images.find(reference)) === null
        deleted.push({ reference, id: isMissing ? null : await imagewright.images.delete(reference) })
      }
      print(options, deleted, (all) =>
        all
          .map(({ reference, id }) => (id ? `Deleted ${reference} (${id}).` : `${reference} does not exist.`))
          .join('\n'),
      )
    }),
  )
}

function addShareCommands(images: Command): void {
  const share = images
    .command('share <cloud:image> <project...>')
    .description('Lets other projects use an image.')
  common(share, ['imagewright images share local:"web golden" astronomy'])
  share.action((reference: string, members: string[], options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      const all = await imagewright.images.share(reference, members)
      print(options, all, (rows) =>
        table(
          ['MEMBER', 'STATUS'],
          rows.map((row) => [row.member, row.status]),
        ),
      )
    }),
  )
  const unshare = images
    .command('unshare <cloud:image> <project...>')
    .description('Takes an image back from projects.')
  common(unshare, ['imagewright images unshare local:"web golden" astronomy'])
  unshare.action((reference: string, members: string[], options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      const left = await imagewright.images.unshare(reference, members)
      print(options, left, (rows) =>
        table(
          ['MEMBER', 'STATUS'],
          rows.map((row) => [row.member, row.status]),
        ),
      )
    }),
  )
}

interface SetOptions extends CommonOptions {
  name?: string
  visibility?: Visibility
  property?: string[]
  removeProperty?: string[]
  tag?: string[]
  protected?: boolean
}

function addSetCommand(images: Command): void {
  const command = images
    .command('set <cloud:image>')
    .description('Changes what a cloud says of an image; its data stays as it is.')
    .option('--name <name>')
    .addOption(new Option('--visibility <who>').choices(['private', 'shared', 'community', 'public']))
    .option('--property <key=value>', 'set a property (repeatable)', several)
    .option('--remove-property <key>', 'remove a property (repeatable)', several)
    .option('--tag <tags>', 'its tags from now on (comma-separated)', list)
    .option('--protected', 'protect it against deletion')
    .option('--no-protected', 'allow its deletion')
  common(command, [
    'imagewright images set local:"web golden" --visibility public --property os_distro=debian',
    'imagewright images set local:"web golden" --no-protected',
  ])
  command.action((reference: string, options: SetOptions) =>
    withImagewright(options, async (imagewright) => {
      const removed = (options.removeProperty ?? []).map((key): [string, null] => [key, null])
      const changes = { ...readPairs(options.property ?? []), ...Object.fromEntries(removed) }
      const image = await imagewright.images.set(reference, {
        ...(options.name ? { name: options.name } : {}),
        ...(options.visibility ? { visibility: options.visibility } : {}),
        ...(options.tag ? { tags: options.tag } : {}),
        ...(options.protected === undefined ? {} : { protected: options.protected }),
        ...(Object.keys(changes).length > 0 ? { properties: changes } : {}),
      })
      print(options, image, imageRow)
    }),
  )
}
